"""Outbound: the only way to addresses that users gave.

A host's name is looked up once for each posting, all that it leads to is judged, and the connection
goes to one of those addresses: a name that leads elsewhere a moment later gains nothing. Names are
looked up in threads of their own, since nobody can call that off: a name whose servers are silent
holds one of them, however many wait for it.

A connection serves one posting. No redirect is followed, no proxy nor password is taken from the
environment, and little more is read than is kept. Where a proxy is named, it looks names up and
judges what they lead to; what is written as an address is judged here all the same.

What is raised shows scheme, host and port, and nothing that the other side has sent.
"""
