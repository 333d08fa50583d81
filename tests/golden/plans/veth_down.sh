sudo ip link delete veth0
