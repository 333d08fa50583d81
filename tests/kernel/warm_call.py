"""Has the server of warm.py run cnetsh here: `warm_call.py SOCKET ARGUMENT…`.

It is started for every command of the tests, so it imports what is built into Python alone.
"""

import _socket
import array
import os
import sys


def call(path: str, arguments: list[str]) -> int:
    """Ends as the command does, with its exit code or by its signal."""
    server = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    server.setsockopt(_socket.SOL_SOCKET, _socket.SO_SNDBUF, 1 << 20)
    server.connect(path)
    given = repr((os.getcwd(), dict(os.environ), arguments)).encode()  # noqa: PTH109
    namespaces = [os.open(f"/proc/self/ns/{kind}", os.O_RDONLY) for kind in ("user", "net", "mnt")]
    files = array.array("i", [0, 1, 2, *namespaces])
    server.sendmsg([given], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, files)])
    code = int(server.recv(64) or 70)
    if code < 0:
        os.kill(os.getpid(), -code)
    return code


sys.exit(call(sys.argv[1], sys.argv[2:]))
