# shellcheck shell=bash disable=SC2034
# Sourced by scripts that start nodes for a while, each with a log and a database in $folder; all end with the script. BIN names the folder of
# the programs; without it they are built.
. scripts/env.sh
bin="${BIN:-$CARGO_TARGET_DIR/release}"
[ -n "${BIN:-}" ] || cargo build --quiet --release --workspace --bins

folder=$(mktemp -d)
started=()
stop_all() {
	[ ${#started[@]} = 0 ] || kill "${started[@]}" 2>/dev/null || true
	wait 2>/dev/null || true
	rm -rf "$folder"
}
trap stop_all EXIT

# fail WORDS [NAME]: ends the script; with the end of a log, if the name of one is given.
fail() {
	echo "$(basename "$0"): $1" >&2
	[ -z "${2:-}" ] || tail -5 "$folder/$2.log" >&2
	exit 1
}

# launch NAME PROGRAM [ARGUMENT...]: starts a program beside this one. Its id is `pid`.
launch() {
	"${@:2}" >"$folder/$1.log" 2>&1 &
	pid=$!
	started+=("$pid")
}

# launch_node NAME PROGRAM [FLAG...]: starts a node that nobody looks for, unless the flags tell otherwise.
launch_node() {
	launch "$1" "$2" --base-path "$folder/$1" --rpc-port 0 --no-mdns --no-prometheus --no-telemetry "${@:3}"
}

# said NAME PATTERN: waits until a program says something, and prints the part of the line in parentheses.
said() {
	local found
	for _ in $(seq 600); do
		found=$(sed -n "s|.*$2.*|\1|p" "$folder/$1.log" | head -1)
		[ -z "$found" ] || { echo "$found"; return; }
		sleep 0.1
	done
	fail "$1 does not start" "$1"
}

# rpc NAME: the address of a node's JSON-RPC server, once it is there.
rpc() { said "$1" 'JSON-RPC server: addr=\([0-9.:]*\)'; }
