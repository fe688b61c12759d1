//! Products of bytes by the matrix instructions (AMX): 32 rows by 32 columns of sums, 64 elements of the reduction at a time.
//!
//! In assembly, as the compiler has no stable way to them. Sums wrap as those of other instructions do.

use super::{
	finish::{store, Columns},
	micro::{Tile, BLOCK},
};
use crate::simd::{Avx512, Simd};

/// Rows of a tile register.
const ROWS: usize = 16;

/// Words of a row of a tile register.
pub(super) const WORDS: usize = 16;

/// Bytes behind packed rows that may be read: those of rows that are not there.
pub(super) const SLACK: usize = 2 * ROWS * 4 * BLOCK;

/// The shapes of the tile registers.
#[repr(C, align(64))]
struct Config {
	palette: u8,
	start: u8,
	reserved: [u8; 14],
	columns: [u16; 16],
	rows: [u8; 16],
}

/// The tile registers of this thread are set up; dropping it gives them back.
pub(super) struct Registers(());

impl Registers {
	/// # Safety
	///
	/// The machine has the instructions, and the process may use them.
	pub(super) unsafe fn set() -> Self {
		let mut config = Config { palette: 1, start: 0, reserved: [0; 14], columns: [0; 16], rows: [0; 16] };
		config.columns[..8].fill(4 * WORDS as u16);
		config.rows[..8].fill(ROWS as u8);
		// SAFETY: the instruction is there, and the configuration is one of its palette.
		unsafe {
			core::arch::asm!("ldtilecfg [{}]", in(reg) &config, options(nostack, readonly, preserves_flags));
		}
		Self(())
	}
}

impl Drop for Registers {
	fn drop(&mut self) {
		// SAFETY: the instruction is there: otherwise there were no registers to set.
		unsafe { core::arch::asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
	}
}

/// The sums of a tile.
#[repr(align(64))]
struct Sums(#[allow(dead_code)] [i32; 4 * ROWS * WORDS]);

/// Asks for the next step's part of the panel, between other instructions.
macro_rules! ahead {
	($($at:literal)*) => {
		concat!($("prefetcht0 [{b} + ", $at, "]\n"),*)
	};
}

/// At most 32 rows by one panel.
///
/// # Safety
///
/// As for every tile; words are whole registers, [`SLACK`] bytes may be read behind the rows, and [`Registers`] are set.
#[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
pub(super) unsafe fn tile(t: &Tile) {
	let mut sums = std::mem::MaybeUninit::<Sums>::uninit();
	let c = sums.as_mut_ptr().cast::<i32>();
	// SAFETY: reads rows (and what lies behind them), the panel and the bias, which the caller vouches for; writes the sums.
	unsafe {
		if t.rows > ROWS {
			core::arch::asm!(
				"tileloadd tmm0, [{bias} + {zero}*1]",
				"tileloadd tmm1, [{bias} + {zero}*1 + 64]",
				"tileloadd tmm2, [{bias} + {zero}*1]",
				"tileloadd tmm3, [{bias} + {zero}*1 + 64]",
				"2:",
				"tileloadd tmm6, [{b} + {sb}*1]",
				"tileloadd tmm4, [{a} + {sa}*1]",
				"tileloadd tmm7, [{b} + {sb}*1 + 64]",
				"tileloadd tmm5, [{below} + {sa}*1]",
				"tdpbusd tmm0, tmm4, tmm6",
				ahead!(2048 2112 2176 2240 2304 2368 2432 2496),
				"tdpbusd tmm1, tmm4, tmm7",
				ahead!(2560 2624 2688 2752 2816 2880 2944 3008),
				"tdpbusd tmm2, tmm5, tmm6",
				ahead!(3072 3136 3200 3264 3328 3392 3456 3520),
				"tdpbusd tmm3, tmm5, tmm7",
				ahead!(3584 3648 3712 3776 3840 3904 3968 4032),
				"add {b}, 2048",
				"add {a}, 64",
				"add {below}, 64",
				"dec {left}",
				"jnz 3f",
				"add {a}, {skip}",
				"add {below}, {skip}",
				"mov {left}, 4",
				"3:",
				"dec {n}",
				"jnz 2b",
				"tilestored [{c} + {sb}*1], tmm0",
				"tilestored [{c} + {sb}*1 + 64], tmm1",
				"tilestored [{c} + {sb}*1 + 2048], tmm2",
				"tilestored [{c} + {sb}*1 + 2112], tmm3",
				bias = in(reg) t.operands.bias,
				zero = in(reg) 0usize,
				a = inout(reg) t.a => _,
				below = inout(reg) t.a.wrapping_add(ROWS * BLOCK) => _,
				sa = in(reg) 4 * BLOCK,
				b = inout(reg) t.b => _,
				sb = in(reg) 8 * WORDS,
				left = inout(reg) BLOCK / WORDS => _,
				skip = in(reg) (t.rows - 1) * 4 * BLOCK,
				n = inout(reg) t.words / WORDS => _,
				c = in(reg) c,
				out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
				out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
				options(nostack),
			);
		} else {
			core::arch::asm!(
				"tileloadd tmm0, [{bias} + {zero}*1]",
				"tileloadd tmm1, [{bias} + {zero}*1 + 64]",
				"2:",
				"tileloadd tmm6, [{b} + {sb}*1]",
				"tileloadd tmm4, [{a} + {sa}*1]",
				"tileloadd tmm7, [{b} + {sb}*1 + 64]",
				"tdpbusd tmm0, tmm4, tmm6",
				"tdpbusd tmm1, tmm4, tmm7",
				"add {b}, 2048",
				"add {a}, 64",
				"dec {left}",
				"jnz 3f",
				"add {a}, {skip}",
				"mov {left}, 4",
				"3:",
				"dec {n}",
				"jnz 2b",
				"tilestored [{c} + {sb}*1], tmm0",
				"tilestored [{c} + {sb}*1 + 64], tmm1",
				bias = in(reg) t.operands.bias,
				zero = in(reg) 0usize,
				a = inout(reg) t.a => _,
				sa = in(reg) 4 * BLOCK,
				b = inout(reg) t.b => _,
				sb = in(reg) 8 * WORDS,
				left = inout(reg) BLOCK / WORDS => _,
				skip = in(reg) (t.rows - 1) * 4 * BLOCK,
				n = inout(reg) t.words / WORDS => _,
				c = in(reg) c,
				out("tmm0") _, out("tmm1") _, out("tmm4") _, out("tmm6") _, out("tmm7") _,
				options(nostack),
			);
		}
		for j in 0..2 {
			let (at, n) = (j * Avx512::LANES, t.columns.saturating_sub(j * Avx512::LANES).min(Avx512::LANES));
			let columns = Columns { scale: t.operands.scale.wrapping_add(at), ..t.operands };
			let from = c.add(j * WORDS).cast_const().cast();
			store::<Avx512>(from, 2, t.rows, columns, t.to, t.c.wrapping_add(at * t.to.size()), t.ldc, n);
		}
	}
}
