#!/bin/sh
# Leave a vendor from a shell: know what stops, try it, switch off, show it. `on` goes back.
set -eu
vendor=${1:-alibaba}
route=${2:-chat}

multimodel check                                              # what is wrong, and what one vendor could take away
multimodel explain "$route"                                   # who is asked, when at the latest, for how much
multimodel simulate --route "$route" --outage "$vendor:10m"   # ten minutes without it, in virtual time
multimodel drill "$route" --without "$vendor" --yes --html drill.html   # real calls, while it cannot be reached
multimodel off "$vendor" --reason "licence review" --yes      # refused, if a route would be left without a target
multimodel risk --html risk.html                              # whom the routes depend on now
multimodel audit verify                                       # the drill and the switch, in one chain of hashes
echo "back: multimodel on $vendor"
