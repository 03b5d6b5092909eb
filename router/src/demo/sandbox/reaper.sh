# shellcheck shell=sh
# Outlives the demo by a moment, to leave nothing behind should it be killed outright.
# Usage: reaper.sh DIRECTORY, with `+ PID` and `- PID` on standard input as processes come and go.
# When the input ends, whatever is still alive is killed and the directory removed.

alive=
while read -r sign pid; do
    case $sign in
        +) alive="$alive $pid" ;;
        -)
            others=
            for one in $alive; do
                [ "$one" = "$pid" ] || others="$others $one"
            done
            alive=$others
            ;;
    esac
done

for pid in $alive; do
    kill -s KILL "$pid"
done
# One that is on its way out may still be writing.
for _ in 1 2 3 4 5; do
    rm -rf -- "$1" && [ ! -e "$1" ] && exit 0
    sleep 1
done
exit 1
