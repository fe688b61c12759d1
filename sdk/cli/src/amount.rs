//! OPG on the command line, planck on the chain.

use std::{fmt, str::FromStr};

/// The number of decimals of OPG.
pub const DECIMALS: usize = 18;
/// One OPG, in planck.
pub const OPG: u128 = 10u128.pow(DECIMALS as u32);

/// An amount of OPG, exact to the planck. Reads `0.5`, `12`, `12 OPG`, `1_000.25` and `7 planck`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Amount(pub u128);

impl fmt::Display for Amount {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		let (whole, rest) = (self.0 / OPG, self.0 % OPG);
		if rest == 0 {
			return write!(f, "{whole} OPG");
		}
		let decimals = format!("{rest:0width$}", width = DECIMALS);
		write!(f, "{whole}.{} OPG", decimals.trim_end_matches('0'))
	}
}

impl FromStr for Amount {
	type Err = String;

	fn from_str(text: &str) -> Result<Self, String> {
		let digits_of = |part: &str| part.replace('_', "");
		let is_number = |part: &str| part.chars().all(|c| c.is_ascii_digit());
		let too_large = || format!("{text} is more than the chain can count");

		let text = text.trim();
		if let Some(planck) = text.strip_suffix("planck") {
			let digits = digits_of(planck.trim());
			if digits.is_empty() || !is_number(&digits) {
				return Err(format!("{text:?} is not a whole number of planck"));
			}
			return digits.parse().map(Self).map_err(|_| too_large());
		}

		let number = text.strip_suffix("OPG").unwrap_or(text).trim();
		let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
		let (whole, fraction) = (digits_of(whole), digits_of(fraction));
		if (whole.is_empty() && fraction.is_empty()) || !is_number(&whole) || !is_number(&fraction) {
			return Err(format!("{text:?} is not an amount; write 0.5, 12 or \"12 OPG\""));
		}
		let significant = fraction.trim_end_matches('0');
		if significant.len() > DECIMALS {
			return Err(format!("{text} has more than {DECIMALS} decimals; the smallest amount is 1 planck"));
		}
		let parse = |digits: &str| if digits.is_empty() { Ok(0) } else { digits.parse::<u128>() };
		let whole = parse(&whole).map_err(|_| too_large())?;
		let fraction = parse(&format!("{significant:0<DECIMALS$}")).map_err(|_| too_large())?;
		whole.checked_mul(OPG).and_then(|planck| planck.checked_add(fraction)).map(Self).ok_or_else(too_large)
	}
}

/// A share of a whole, in billionths. Reads `0.3%`, `30ppm`, `1000ppb`.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Share(pub u32);

impl Share {
	/// A whole.
	pub const ONE: u32 = 1_000_000_000;

	/// In millionths, if it is a whole number of them.
	pub fn permill(self) -> Option<u32> {
		self.0.is_multiple_of(1_000).then_some(self.0 / 1_000)
	}
}

impl fmt::Display for Share {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		let (whole, rest) = (self.0 / 10_000_000, self.0 % 10_000_000);
		if rest == 0 {
			return write!(f, "{whole} %");
		}
		write!(f, "{whole}.{} %", format!("{rest:07}").trim_end_matches('0'))
	}
}

impl FromStr for Share {
	type Err = String;

	fn from_str(text: &str) -> Result<Self, String> {
		let wrong = || format!("{text:?} is not a share; write 2.5%, 30ppm or 1000ppb");
		let (number, decimals) = match text.trim() {
			t if t.ends_with('%') => (&t[..t.len() - 1], 7),
			t if t.ends_with("ppm") => (&t[..t.len() - 3], 3),
			t if t.ends_with("ppb") => (&t[..t.len() - 3], 0),
			"0" => ("0", 0),
			_ => return Err(wrong()),
		};
		let (whole, fraction) = number.trim().split_once('.').unwrap_or((number.trim(), ""));
		let is_number = |part: &str| part.chars().all(|c| c.is_ascii_digit());
		if whole.is_empty() || fraction.len() > decimals || !is_number(whole) || !is_number(fraction) {
			return Err(wrong());
		}
		let digits = format!("{whole}{fraction:0<decimals$}");
		match digits.parse::<u64>() {
			Ok(parts) if parts <= u64::from(Self::ONE) => u32::try_from(parts).map(Self).map_err(|_| wrong()),
			_ => Err(format!("{text} is more than the whole")),
		}
	}
}

#[cfg(test)]
mod tests {
	use super::*;

	fn planck(text: &str) -> Result<u128, String> {
		text.parse::<Amount>().map(|amount| amount.0)
	}

	#[test]
	fn amount_should_be_exact_when_written_in_opg() {
		assert_eq!(planck("12"), Ok(12 * OPG));
		assert_eq!(planck("0.5"), Ok(OPG / 2));
		assert_eq!(planck(".25 OPG"), Ok(OPG / 4));
		assert_eq!(planck("1_000.000000000000000001"), Ok(1_000 * OPG + 1));
		assert_eq!(planck("7 planck"), Ok(7));
		assert_eq!(planck("1.50000000000000000000000"), Ok(OPG * 3 / 2));
	}

	#[test]
	fn amount_should_be_refused_when_it_is_no_amount() {
		for text in ["", ".", "abc", "-1", "1e3", "1.2.3", "0x10", "1,5", "planck", "1.5 planck"] {
			assert!(planck(text).is_err(), "{text}");
		}
		assert!(planck("0.0000000000000000001").unwrap_err().contains("18 decimals"));
		assert!(planck("999999999999999999999999999999").unwrap_err().contains("more than the chain can count"));
	}

	#[test]
	fn amount_should_read_back_what_it_prints() {
		for value in [0, 1, OPG - 1, OPG, OPG + 1, 123_456_789 * OPG + 42, u128::MAX] {
			assert_eq!(planck(&Amount(value).to_string()), Ok(value));
		}
		assert_eq!(Amount(OPG / 20).to_string(), "0.05 OPG");
	}

	#[test]
	fn share_should_be_exact_when_written_in_any_unit() {
		assert_eq!("2.5%".parse(), Ok(Share(25_000_000)));
		assert_eq!("100%".parse(), Ok(Share(Share::ONE)));
		assert_eq!("30ppm".parse(), Ok(Share(30_000)));
		assert_eq!("5ppb".parse(), Ok(Share(5)));
		assert_eq!(Share(25_000_000).to_string(), "2.5 %");
		assert_eq!(Share(25_000_000).permill(), Some(25_000));
		assert_eq!(Share(5).permill(), None);
		for text in ["101%", "2", "%", "1.5ppb", "-1%"] {
			assert!(text.parse::<Share>().is_err(), "{text}");
		}
	}
}
