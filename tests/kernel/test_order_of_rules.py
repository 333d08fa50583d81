"""The order of the host's own firewall rules, among them the same as the lab's, in all chains."""

from pathlib import Path

import pytest
from endings import assert_as_before, assert_others_named
from hosts import PATIENCE, Private, report
from others import Hosts, lab_file, not_as_twin, often, template

OWN = """
{tool} -A FORWARD -p tcp --dport 80 -j DROP; {tool} -A FORWARD -j ACCEPT
{tool} -A INPUT -j ACCEPT; {tool} -A INPUT -p udp -m udp --dport 53 -j DROP
{tool} -A OUTPUT -p tcp --dport 25 -j REJECT; {tool} -A OUTPUT -p tcp --dport 25 -j REJECT
{tool} -t nat -A POSTROUTING -s {net} ! -o eth7 -j MASQUERADE
{tool} -t nat -A POSTROUTING -j RETURN
{tool} -N OURS; {tool} -A FORWARD -j OURS; {tool} -A OURS -j LOG; {tool} -A OURS -j DROP
"""
LAB = """
{tool} -A FORWARD -p tcp --dport 80 -j DROP
{tool} -I INPUT -p udp --dport 53 -j DROP
{tool} -A OUTPUT -p tcp --dport 25 -j REJECT
{tool} -t nat -A POSTROUTING -s {net} ! -o eth7 -j MASQUERADE
{tool} -A OURS -j LOG
"""
NETS = {"iptables": "10.0.0.0/8", "ip6tables": "fd00::/8"}
OTHERS = """
{tool} -I FORWARD -s {net} -j ACCEPT; {tool} -A FORWARD -p tcp --dport 80 -j DROP
{tool} -I INPUT {second} -p udp -m udp --dport 53 -j DROP
{tool} -I OUTPUT -p tcp --dport 25 -j REJECT
{tool} -t nat -I POSTROUTING -d {net} -j ACCEPT; {tool} -A OURS -d {net} -j LOG
"""
MEANWHILE = {
    "nothing": "",
    "restored": "{tool}-save > /run/saved; {tool}-restore < /run/saved",
    "others": OTHERS,
    "others and restored": OTHERS + "{tool}-save > /run/saved; {tool}-restore < /run/saved",
}


@pytest.mark.parametrize("tool", NETS)
@pytest.mark.parametrize("what", often(MEANWHILE, ("nothing", "others and restored")))
def test_the_order_is_as_before(new_private: Hosts, tmp_path: Path, tool: str, what: str) -> None:
    if tool == "ip6tables" and "restored" in what:
        pytest.skip("both tools go the same way there")
    host, twin = new_private(), new_private()
    words = {"tool": tool, "net": NETS[tool]}
    for each in (host, twin):
        each.sh(OWN.format(**words))
    host.cnetsh("up", template(tmp_path, "tr", LAB.format(**words)))
    for each in (host, twin):
        # The lab's rule stands before the host's there.
        second = 2 if each is host else 1
        each.sh(MEANWHILE[what].format(**words, second=second))
    done = host.cnetsh("down", "tr", check=False)
    assert not_as_twin(host, twin) == [], report(done)
    if "others" in what:
        assert_others_named(done, "tr", NETS[tool])
    else:
        assert_as_before(done, "tr")


REVERSED = """
iptables-save | awk '/^-A FORWARD/ {a[n++] = $0; next}
/COMMIT/ {while (n) print a[--n]} {print}' | iptables-restore
"""


def test_a_rule_that_others_have_put_elsewhere_goes(new_private: Hosts, tmp_path: Path) -> None:
    host, twin = new_private(), new_private()
    for each in (host, twin):
        each.sh(OWN.format(tool="iptables", net=NETS["iptables"]))
    steps = "iptables -A FORWARD -s 10.1.0.0/16 -j DROP\niptables -I FORWARD -s 10.2.0.0/16 -j DROP"
    host.cnetsh("up", template(tmp_path, "tr", steps))
    for each in (host, twin):
        each.sh(REVERSED)
    done = host.cnetsh("down", "tr", check=False)
    assert not_as_twin(host, twin) == [], report(done)
    assert_others_named(done, "tr", "the order of the rules of FORWARD is another one")


def test_doctor_warns_of_a_rule_that_is_there_twice(private: Private, tmp_path: Path) -> None:
    rule = "iptables -A FORWARD -p tcp --dport 80 -j DROP"
    private.sh(rule)
    done = private.cnetsh("doctor", template(tmp_path, "tr", rule), check=False)
    assert "P05" in done.stdout + done.stderr, report(done)


def test_a_rule_of_others_that_comes_while_the_labs_goes_stays(
    private: Private, tmp_path: Path
) -> None:
    # What the template undoes runs between the look at the rules and the removal of the lab's.
    lab = "iptables -A FORWARD -s 10.1.0.0/16 -j DROP\n"
    lab += "#: undo iptables -I FORWARD -s 10.9.9.9 -j ACCEPT\nip link add br7 type bridge"
    private.sh("iptables -A FORWARD -d 10.2.0.0/16 -j DROP")
    private.cnetsh("up", template(tmp_path, "tr", lab))
    private.cnetsh("down", "tr", check=False)
    rules = ["-P FORWARD ACCEPT", "-A FORWARD -s 10.9.9.9/32 -j ACCEPT",
             "-A FORWARD -d 10.2.0.0/16 -j DROP"]  # fmt: skip
    assert private.sh("iptables -S FORWARD").splitlines() == rules


@pytest.mark.parametrize("match", ["-p tcp -m tcp", "-m recent --name bad --set"])
def test_a_rule_that_iptables_does_not_find_by_its_words_goes_by_its_place(
    private: Private, tmp_path: Path, match: str
) -> None:
    private.sh("iptables -A FORWARD -d 10.2.0.0/16 -j DROP")
    private.cnetsh("up", template(tmp_path, "tr", f"iptables -I FORWARD {match} -j DROP"))
    private.sh("iptables -I FORWARD -s 10.3.0.0/16 -j DROP")
    done = private.cnetsh("down", "tr", check=False)
    assert_others_named(done, "tr", "10.3.0.0/16")
    rules = ["-P FORWARD ACCEPT", "-A FORWARD -s 10.3.0.0/16 -j DROP",
             "-A FORWARD -d 10.2.0.0/16 -j DROP"]  # fmt: skip
    assert private.sh("iptables -S FORWARD").splitlines() == rules


# Somebody like a firewall's service, who adds rules for as long as a file is there.
BUSY = """
touch /run/busy; n=0
while test -e /run/busy && test $n -lt 200; do
    n=$((n + 1)); for verb in I A; do
        iptables -w -$verb FORWARD -p tcp --dport $n -j ACCEPT
        iptables -w -t nat -$verb POSTROUTING -p tcp --dport $n -j ACCEPT
    done; echo $n > /run/added
done
"""


def test_others_add_rules_all_the_time(private: Private, tmp_path: Path) -> None:
    lab = "bridges:\n  lan: {address: 10.7.0.1/24, nat: true}\n"
    lab += "containers:\n  web: {bridge: lan, publish: [8080:80]}\n"
    busy = private.start(["sh", "-c", BUSY])
    for words in (("up", lab_file(tmp_path, "shop", lab), "-q"), ("down", "-q")):
        done = private.cnetsh(*words)
        assert done.returncode == 0, report(done)
    private.sh("rm /run/busy")
    busy.wait(timeout=PATIENCE)
    number = int(private.sh("cat /run/added"))
    rules = private.sh("iptables-save")
    assert number > 1 and "cnetsh" not in rules
    # Each was added twice to each of two chains.
    added = [rules.count(f"--dport {n} -j ACCEPT") for n in range(1, number + 1)]
    assert added == [4] * number
