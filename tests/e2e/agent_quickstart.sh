# The README's first command, as a newcomer runs it: every line it prints to
# try works when pasted. (Packages and build are taken as they are.)
. "$(dirname "$0")/lib.sh"

# A copy, so that the run does not meet another one's build folder.
mkdir "$SCRATCH/clone"
cp -r "$ROOT/contrib" "$SCRATCH/clone/"
cd "$SCRATCH/clone" || bail "no clone"

spawn quickstart env MUSTER_QUICKSTART_PREPARED=1 MUSTER="$MUSTER" \
    contrib/quickstart
QUICKSTART=$PID
wait_until 60 "quickstart to be ready" \
    grep -q 'Ctrl-C ends it' "$SCRATCH/quickstart.log"
text=$(cat "$SCRATCH/quickstart.log")

# The indented lines are commands.
lines=$(printf '%s\n' "$text" | sed -n '/In another terminal/,$s/^  //p')
ok "it prints lines to try" [ "$(printf '%s\n' "$lines" | wc -l)" -ge 6 ]
while IFS= read -r line; do
    out=$(bash -c "$line" 2>&1)
    is $? 0 "works when pasted: $line"
    case $line in
    *"web.service.muster.internal +short"*) is "$out" 127.0.0.1 "an address" ;;
    *SRV*) like "$out" 'IN.*SRV.* [0-9]+ .*node' "a port" ;;
    *etcdctl*) like "$out" '/inst/web/' "the record in the store" ;;
    *passing*) like "$out" '"Service": *"web"' "the instance" ;;
    *"muster services"*) like "$out" '^web +1 +1' "the table" ;;
    esac
done <<LINES
$lines
LINES

# A second one beside it says that ports are busy, and takes others.
mkdir "$SCRATCH/again"
cp -r contrib "$SCRATCH/again/"
cd "$SCRATCH/again" || bail "no second clone"
spawn second env MUSTER_QUICKSTART_PREPARED=1 MUSTER="$MUSTER" \
    contrib/quickstart
wait_until 60 "the second quickstart" \
    grep -q 'Ctrl-C ends it' "$SCRATCH/second.log"
like "$(cat "$SCRATCH/second.log")" 'is busy: DNS takes' "busy ports are said"

end "$QUICKSTART" TERM
ok "ended by a signal" [ "$CODE" -ne 0 ]
done_testing
