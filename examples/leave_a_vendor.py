"""Leave a vendor: look first, switch off, go on, switch on again."""

from multimodel import Client

VENDOR = "alibaba"

with Client() as client:
    print("before:", client.explain("chat"), sep="\n")

    stranded = client.off(VENDOR, reason="licence review")
    print("routes that have no target left:", list(stranded) or "none")
    try:
        answer = client.complete("chat", "Are we still here?")
        print(f"answered by {answer.target}")
        for skip in answer.report.skipped:
            print(f"  not asked: {skip.target}, {skip.reason}: {skip.detail}")
    finally:
        client.on(VENDOR)
    print("after:", client.explain("chat"), sep="\n")
