"""python -m tests.host.poor_host: the host, which may open few files."""

import resource

from infra.host import __main__ as host

FILES = 200

if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
    host.main()
