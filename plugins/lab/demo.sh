#!/bin/bash
# The main job from end to end, on loopback and without root: a simulated hospital, a controller, a site
# agent in lab policy, an inventory, an approved time, a plan, an approval, a run that fires by itself, a
# report, and the judge's own count. Called by "make demo"; KEEP=1 leaves it running.
set -euo pipefail
cd "$(dirname "$0")/../.."
bin=$PWD/bin
dir=$PWD/.demo
began=$SECONDS

say() { printf '\n== %s\n' "$*"; }
fail() {
	printf 'demo failed: %s\n' "$*" >&2
	for log in "$dir"/*.log; do [ -e "$log" ] && { echo "--- $(basename "$log")"; tail -n 15 "$log"; } >&2; done
	exit 1
}
pids=()
end() {
	for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
	for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
}
# A number of a process may have gone to another one since: only those that run our programs are named.
left=""
for pid in $(cat "$dir/pids" 2>/dev/null || true); do
	case $(readlink "/proc/$pid/exe" 2>/dev/null || true) in "$bin"/*) left="$left $pid" ;; esac
done
if [ -n "$left" ]; then
	echo "An earlier demo was left running (KEEP=1). End it first: kill$left" >&2
	exit 1
fi
rm -rf "$dir"
mkdir -m 700 "$dir"
trap end EXIT
start() { # start NAME COMMAND...
	local name=$1
	shift
	"$@" >"$dir/$name.log" 2>&1 &
	pids+=($!)
}
until_there() { # until_there FILE WHAT
	for _ in $(seq 200); do
		[ -s "$1" ] && return 0
		sleep 0.05
	done
	fail "$2 did not start"
}
primum() { "$bin/primum" --home "$dir/controller" "$@"; }

say "A simulated hospital: glass devices that break for ever at the first breach of their rules"
start lab "$bin/lab" serve --dir "$dir/lab"
until_there "$dir/lab/ready" "the laboratory"
head -n 1 "$dir/lab.log"

say "Keys, and a signed safety list: real denials, and what the demo's invented makers allow"
approver=$("$bin/primum" key new --out "$dir/approver.key")
{
	printf 'schema: primum-site/1\nname: demo\nfacility: DEMOSITE\npolicy: lab\nmin_approvers: 1\n'
	printf 'approvers:\n- {name: head-of-htm, key: "%s"}\nsign_offs:\n' "$approver"
	"$bin/primum" list digests plugins/lab/lists/*.yaml | while read -r id digest; do
		printf -- '- {statement: %s, digest: %s, by: [head-of-htm], on: %s}\n' "$id" "$digest" "$(date -u +%F)"
	done
} >"$dir/site.yaml"
"$bin/primum" list demo "$dir/list" --site "$dir/site.yaml" safetylists/lists/*.yaml plugins/lab/lists/*.yaml
"$bin/primum" list timestamp "$dir/list" --key "$dir/list/keys/timestamp" --passphrase-file "$dir/list/keys/passphrase" --out "$dir/release.bundle"

say "Controller and site agent, two processes, mutual TLS"
start controller "$bin/primum-controller" serve --data "$dir/controller" --admin 127.0.0.1:0 --control 127.0.0.1:0 --list-root "$dir/list/metadata/1.root.json"
until_there "$dir/controller/admin.token" "the controller"
primum list publish "$dir/release.bundle"
primum agents token demo --to "$dir/token"
mkdir -m 700 "$dir/agent"
"$bin/primum-agent" enroll --data "$dir/agent" --controller "$(cat "$dir/controller/control.address")" --authority "$dir/controller/authority.crt" \
	--list-root "$dir/list/metadata/1.root.json" --token-file "$dir/token"
start agent "$bin/primum-agent" serve --data "$dir/agent" --policy lab --leases "$dir/lab/dnsmasq.leases"
for _ in $(seq 200); do
	if primum agents list | grep -q ' CONNECTED '; then break; fi
	sleep 0.05
done
primum agents list | grep ' CONNECTED ' || fail "the agent did not connect"
primum secret set --agent demo --any --file - <"$dir/lab/community"

say "Inventory, as the CMMS exports it"
primum devices import "$dir/lab/inventory.csv"

say "An approved time, and the plan: nothing is sent by making it"
# One device is left out: it has not been asked yet when somebody tries a question on demand.
spare=10-1004
devices=()
for tag in $(sed 1d "$dir/lab/inventory.csv" | cut -d , -f 1); do [ "$tag" = "$spare" ] || devices+=(--device "$tag"); done
primum window create night --opens-in 6s --duration 55s --zone Europe/Vienna --agent demo "${devices[@]}"
primum plan night | tee "$dir/plan.txt"
plan=$(sed -n 's/^Plan \([^,]*\),.*/\1/p' "$dir/plan.txt")
[ -n "$plan" ] || fail "there is no plan"
from=$(sed -n 's/^Plan [^,]*, approved time \(.*\) UTC to .*/\1/p' "$dir/plan.txt" | tr ' ' T)Z
to=$(sed -n 's/^Plan [^,]*, approved time .* UTC to \(.*\) UTC$/\1/p' "$dir/plan.txt" | tr ' ' T)Z
"$bin/lab" window --dir "$dir/lab" --from "$from" --to "$to"

say "A person reads the plan and signs it"
primum approve "$plan" --key "$dir/approver.key" --by head-of-htm

say "The approved time opens, and the run fires by itself"
primum watch "plans/$plan" --timeout 80s || fail "the run did not end as it should"
run=$(primum plans list | awk -v p="$plan" '$1 == p { print $NF }')

say "Report"
primum report "$run" | tee "$dir/report.txt"

say "What the devices themselves received, by the laboratory's own count"
judged=0
"$bin/lab" report --dir "$dir/lab" >"$dir/judge.txt" || judged=$?
cat "$dir/judge.txt"
[ "$judged" = 0 ] || fail "a device was harmed or received an unapproved byte"

asked=$(sed -n 's/^\([0-9]*\) questions asked:.*/\1/p' "$dir/report.txt")
answered=$(sed -n 's/^[0-9]* questions asked:.* \([0-9]*\) answered.*/\1/p' "$dir/report.txt")
refused=$(sed -n 's/^[0-9]* questions asked:.*\. \([0-9]*\) not asked\.$/\1/p' "$dir/report.txt")
[ "${asked:-0}" -ge 16 ] || fail "only ${asked:-no} questions were asked"
[ "${answered:-0}" -ge 15 ] || fail "only ${answered:-no} questions were answered"
[ "${refused:-0}" -ge 6 ] || fail "only ${refused:-no} questions were refused"
for reason in DENIED NOT_APPROVED VERSION_OUTSIDE PORT_FORBIDDEN ADDRESS_MOVED; do
	grep -q "^  $reason$" "$dir/report.txt" || fail "nothing was refused as $reason"
done
grep -q 'CMMS says' "$dir/report.txt" || fail "no difference from the CMMS was found"
grep -q '^WHAT WAS LEARNED' "$dir/report.txt" || fail "nothing was learned"

say "Done in $((SECONDS - began)) s: $asked asked, $answered answered, $refused not asked, devices harmed 0, unapproved bytes 0"
if [ "${KEEP:-}" = 1 ]; then
	# who tries a question on demand is no harm because the night is over
	"$bin/lab" window --dir "$dir/lab" --from "$from" --to "$(date -u -d '+1 day' +%FT%TZ)"
	echo "${pids[*]}" >"$dir/pids"
	trap - EXIT
	disown -a
	cat <<TEXT

It goes on running. What to try next:
  export PRIMUM_HOME=$dir/controller
  $bin/primum devices show 10-4002
  $bin/primum explain 10-8001
  $bin/primum report $run --format json
  $bin/lab transcript --dir $dir/lab 10-1001
  $bin/primum standing create --id trial --caller admin --device $spare --statement lab.aldane.vela-3.snmp \\
    --per-day 3 --key $dir/approver.key --by head-of-htm
  $bin/primum probe $spare snmp.get
  $bin/primum hold place --all --reason "trying it"
  $bin/primum-agent stop --data $dir/agent --reason "trying it"; $bin/primum agents list
  $bin/primum touched 10-1001 --between $(date -d yesterday +%F) $(date -d tomorrow +%F)
  $bin/primum evidence export demo --to $dir/record; $bin/primum evidence verify $dir/record
A device that was asked rests for 24 hours from the same question.
Admin API: $(cat "$dir/controller/admin.address"), control plane: $(cat "$dir/controller/control.address")
To end it: kill ${pids[*]}   (the agent keeps its sockets open for late answers, up to 30 s)
TEXT
else
	say "Ending it: the agent keeps its sockets open for late answers, up to 30 s after the last question"
fi
