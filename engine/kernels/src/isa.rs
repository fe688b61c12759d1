//! Which instructions the kernels use.

use std::fmt;

/// An instruction set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
pub(crate) enum Kind {
	Portable,
	Avx2,
	Avx512,
}

/// Which instructions multiply bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
pub(crate) enum Bytes {
	/// None of their own.
	Words,
	/// VNNI.
	Vnni,
	/// AMX.
	Amx,
}

/// An instruction set that this machine has: there is no other way to make one than to ask the machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Isa(Kind, Bytes);

/// The environment variable that chooses an instruction set: `portable`, `avx2`, `avx512`, `avx512-vnni` or `avx512-amx`.
pub const ISA_VARIABLE: &str = "ASSAY_KERNELS";

impl Isa {
	/// The instruction set of every machine: plain Rust.
	pub const PORTABLE: Isa = Isa(Kind::Portable, Bytes::Words);

	/// The instruction sets that this machine has, the fastest first.
	pub fn available() -> Vec<Isa> {
		let mut list = Vec::new();
		#[cfg(target_arch = "x86_64")]
		{
			let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
			let avx512 = is_x86_feature_detected!("avx512f")
				&& is_x86_feature_detected!("avx512dq")
				&& is_x86_feature_detected!("avx512bw")
				&& is_x86_feature_detected!("avx512vl");
			if avx2 && avx512 {
				if is_x86_feature_detected!("avx512vnni") {
					if has_amx() {
						list.push(Isa(Kind::Avx512, Bytes::Amx));
					}
					list.push(Isa(Kind::Avx512, Bytes::Vnni));
				}
				list.push(Isa(Kind::Avx512, Bytes::Words));
			}
			if avx2 {
				list.push(Isa(Kind::Avx2, Bytes::Words));
			}
		}
		list.push(Isa::PORTABLE);
		list
	}

	/// The fastest that this machine has.
	pub fn best() -> Isa {
		Isa::available().first().copied().unwrap_or(Isa::PORTABLE)
	}

	/// The one that [`ISA_VARIABLE`] names, else the fastest. An error says what the variable may be.
	pub fn from_environment() -> Result<Isa, UnknownIsa> {
		match std::env::var(ISA_VARIABLE) {
			Ok(name) if !name.is_empty() => Isa::from_name(&name),
			_ => Ok(Isa::best()),
		}
	}

	/// The one with this name, if the machine has it.
	pub fn from_name(name: &str) -> Result<Isa, UnknownIsa> {
		Isa::available().into_iter().find(|isa| isa.name() == name).ok_or_else(|| UnknownIsa(name.into()))
	}

	/// Its name: `portable`, `avx2`, `avx512`, `avx512-vnni` or `avx512-amx`.
	pub fn name(self) -> &'static str {
		match self.0 {
			Kind::Portable => "portable",
			Kind::Avx2 => "avx2",
			Kind::Avx512 => match self.1 {
				Bytes::Words => "avx512",
				Bytes::Vnni => "avx512-vnni",
				Bytes::Amx => "avx512-amx",
			},
		}
	}

	/// Which one it is.
	pub(crate) fn get(self) -> Kind {
		self.0
	}

	/// Which instructions multiply bytes.
	#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
	pub(crate) fn bytes(self) -> Bytes {
		self.1
	}

	/// Lanes of a vector.
	pub(crate) fn lanes(self) -> usize {
		match self.0 {
			Kind::Portable | Kind::Avx2 => 8,
			Kind::Avx512 => 16,
		}
	}
}

/// Whether the machine has matrix instructions for bytes, and this process may use them: it asks the system, once.
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
fn has_amx() -> bool {
	static ANSWER: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
	/// Bits of leaf 7: AMX-TILE and AMX-INT8.
	const BITS: u32 = 3 << 24;
	/// ARCH_REQ_XCOMP_PERM, and the state of the tile registers.
	const ASK: (libc::c_long, libc::c_long) = (0x1023, 18);
	*ANSWER.get_or_init(|| {
		use core::arch::x86_64::{__cpuid, __cpuid_count};
		let known = __cpuid(0).eax >= 7 && __cpuid_count(7, 0).edx & BITS == BITS;
		// SAFETY: asks for leave to use registers; changes nothing else.
		known && unsafe { libc::syscall(libc::SYS_arch_prctl, ASK.0, ASK.1) } == 0
	})
}

#[cfg(all(target_arch = "x86_64", not(target_os = "linux")))]
fn has_amx() -> bool {
	false
}

impl fmt::Debug for Isa {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.write_str(self.name())
	}
}

impl fmt::Display for Isa {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.write_str(self.name())
	}
}

/// An instruction set that does not exist or that this machine lacks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownIsa(String);

impl fmt::Display for UnknownIsa {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		write!(f, "{ISA_VARIABLE} is `{}`; this machine has {:?}", self.0, Isa::available())
	}
}

impl std::error::Error for UnknownIsa {}

/// The floating-point modes of this thread, as they were; dropping it restores them. In between: round to nearest even,
/// no flushing, no traps, whatever another library has left behind.
pub(crate) struct Modes {
	before: u64,
}

impl Modes {
	/// Sets the modes.
	#[allow(clippy::new_without_default)]
	pub(crate) fn set() -> Self {
		let modes = Self { before: read() };
		write(DEFAULT);
		modes
	}
}

impl Drop for Modes {
	fn drop(&mut self) {
		write(self.before);
	}
}

#[cfg(target_arch = "x86_64")]
const DEFAULT: u64 = 0x1f80;
#[cfg(not(target_arch = "x86_64"))]
const DEFAULT: u64 = 0;

#[cfg(target_arch = "x86_64")]
fn read() -> u64 {
	let mut word = 0u32;
	// SAFETY: stores the control word of SSE, which every x86-64 has, into a local.
	unsafe { core::arch::asm!("stmxcsr [{}]", in(reg) &mut word, options(nostack, preserves_flags)) };
	word.into()
}

#[cfg(target_arch = "x86_64")]
fn write(word: u64) {
	let word = word as u32;
	// SAFETY: the word is the default or one that was read, so no reserved bit is set. Rust assumes the default modes.
	unsafe { core::arch::asm!("ldmxcsr [{}]", in(reg) &word, options(nostack, readonly, preserves_flags)) };
}

#[cfg(target_arch = "aarch64")]
fn read() -> u64 {
	let word: u64;
	// SAFETY: reads the floating-point control register.
	unsafe { core::arch::asm!("mrs {}, fpcr", out(reg) word, options(nomem, nostack, preserves_flags)) };
	word
}

#[cfg(target_arch = "aarch64")]
fn write(word: u64) {
	// SAFETY: 0 is the default, and else it is what was read.
	unsafe { core::arch::asm!("msr fpcr, {}", in(reg) word, options(nomem, nostack, preserves_flags)) };
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn read() -> u64 {
	0
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn write(_word: u64) {}
