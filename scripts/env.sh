# Sourced by the other scripts and by anyone who calls cargo by hand: `. scripts/env.sh`.
# Says where build outputs go and which toolchain compiles the runtime to Wasm.

# Outside the clone, so that a second clone (CI's, say) finds a warm cache.
ASSAY_CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/assay"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$ASSAY_CACHE/target}"

# The runtime's Wasm build happens there, too, and has to be told where its lock file is.
WASM_BUILD_WORKSPACE_HINT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
export WASM_BUILD_WORKSPACE_HINT

# Cargo tells one clone's files from another's by their age alone. What was built for another clone must not pass for this one's.
if [ "$(cat "$CARGO_TARGET_DIR/built-for" 2>/dev/null)" != "$WASM_BUILD_WORKSPACE_HINT" ]; then
	if [ -d "$CARGO_TARGET_DIR/release" ]; then
		git -C "$WASM_BUILD_WORKSPACE_HINT" ls-files -z 2>/dev/null |
			(cd "$WASM_BUILD_WORKSPACE_HINT" && xargs -0 --no-run-if-empty touch --no-create) || true
	fi
	mkdir -p "$CARGO_TARGET_DIR"
	printf '%s\n' "$WASM_BUILD_WORKSPACE_HINT" >"$CARGO_TARGET_DIR/built-for"
fi

if ! command -v cargo >/dev/null 2>&1 && [ -x "$HOME/.cargo/bin/cargo" ]; then
	PATH="$HOME/.cargo/bin:$PATH"
fi

# The Wasm runtime needs the target wasm32v1-none. Where the default toolchain lacks it, scripts/setup has linked Debian's
# compiler as the rustup toolchain `debian`.
if [ -z "${WASM_BUILD_TOOLCHAIN:-}" ] && command -v rustup >/dev/null 2>&1 &&
	[ ! -d "$(rustc --print sysroot)/lib/rustlib/wasm32v1-none/lib" ]; then
	export WASM_BUILD_TOOLCHAIN=debian
fi

# The Node.js that scripts/setup installs where the system's is too old.
if [ -d "$ASSAY_CACHE/node/node_modules/node/bin" ]; then
	PATH="$ASSAY_CACHE/node/node_modules/node/bin:$PATH"
fi

# Debian's protoc is old enough to want the flag; newer ones ignore it.
export PROTOC="${PROTOC:-$(command -v protoc || true)}"
