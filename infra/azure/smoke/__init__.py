"""The smoke test: what to run after a first deployment, against any host of the registry.

    command.py      the command, and how it ends
    credentials.py  who logs in: as docker has it, or as it is given
    options.py      what the command is told
    site.py         where it looks: the registry, the login, storage, and what was made there
    asking/         `wire`: requests, as httpx sends them or byte by byte; `bodies` of any size,
                    made as they are sent; `monitor`: what Azure knows of the app that serves
    checking.py     what a check is, and how it is run
    findings.py     what comes of one
    waiting.py      for what comes later
    report.py       what is said in the end
    checks/         the checks by subject, in the order in which they run

A check knows what is promised, not what other checks have found: of one fault one check tells,
wherever that can be. Where it cannot look it says so, and why; that is never a promise kept.
"""
