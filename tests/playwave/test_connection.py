"""What is beneath the API: sockets, methods, paths."""

import socket

from playclock.cli.addresses import Address, bind


def test_a_connection_sends_at_once_instead_of_waiting_for_what_it_sent_to_be_acknowledged() -> None:
    with bind(Address("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
