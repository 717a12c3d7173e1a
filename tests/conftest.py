"""What holds for every test, nothing reaches for the network, and what many of them start from."""
import socket

import pytest
from runs import make_kit


@pytest.fixture(autouse=True, scope="session")
def no_network():
    """The package works offline, so a connection attempt is a bug, also on a machine that has a network."""
    def refuse(*arguments, **options):
        raise RuntimeError(f"a test tried to reach the network: {arguments}")

    with pytest.MonkeyPatch.context() as patch:
        for name in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, name, refuse)
        for name in ("getaddrinfo", "gethostbyname", "create_connection"):
            patch.setattr(socket, name, refuse)
        yield


@pytest.fixture(scope="session")
def kit(tmp_path_factory):
    """The folder of runs.make_kit; nobody may change it."""
    return make_kit(tmp_path_factory.mktemp("kit"))
