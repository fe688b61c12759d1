//! Elementary operators, by family.

use super::Lowering;
use crate::{builder::Value, error::Reason};
use assay_semantics::ops::{Binary, PrefixKind, Unary};

impl Lowering<'_> {
	/// The node's first output; `None` when the operator is not one of these. Others are given.
	pub(super) fn elementary(&mut self, op: &str) -> Result<Option<Value>, Reason> {
		let value = match op {
			"Ceil" => self.unary(Unary::Ceil),
			"Floor" => self.unary(Unary::Floor),
			"Round" => self.unary(Unary::Round),
			"Sign" => self.unary(Unary::Sign),
			"Not" | "BitwiseNot" => self.unary(Unary::Not),
			"IsNaN" => self.unary(Unary::IsNan),
			"IsInf" => self.is_inf(),
			"Log" => self.unary(Unary::Log),
			"Erf" => self.unary(Unary::Erf),
			"Sin" => self.unary(Unary::Sin),
			"Cos" => self.unary(Unary::Cos),
			"Tan" => self.unary(Unary::Tan),
			"Atan" => self.unary(Unary::Atan),
			"Asin" | "Acos" | "Sinh" | "Cosh" | "Asinh" | "Acosh" | "Atanh" => self.inverse_or_hyperbolic(op),
			"Softplus" | "Softsign" | "Elu" | "Celu" | "Selu" | "LeakyRelu" | "PRelu" | "ThresholdedRelu"
			| "HardSigmoid" | "HardSwish" | "Mish" | "Swish" | "Shrink" => self.activation(op),
			"And" | "BitwiseAnd" => self.binary(Binary::And),
			"Or" | "BitwiseOr" => self.binary(Binary::Or),
			"Xor" | "BitwiseXor" => self.binary(Binary::Xor),
			"BitShift" => self.bit_shift(),
			"Equal" => self.binary(Binary::Equal),
			"Less" => self.binary(Binary::Less),
			"LessOrEqual" => self.binary(Binary::LessOrEqual),
			"Greater" => self.flipped_binary(Binary::Less),
			"GreaterOrEqual" => self.flipped_binary(Binary::LessOrEqual),
			"Mod" => self.modulo(),
			"Pow" => self.pow(),
			"Max" => self.all(Binary::Max),
			"Min" => self.all(Binary::Min),
			"Sum" => self.all(Binary::Add),
			"Mean" => self.mean(),
			"Where" => self.choose(),
			"CastLike" => self.cast_like(),
			"BitCast" => self.bit_cast(),
			"ReduceSum" | "ReduceMean" | "ReduceMax" | "ReduceMin" | "ReduceProd" | "ReduceL1" | "ReduceL2"
			| "ReduceSumSquare" | "ReduceLogSum" | "ReduceLogSumExp" => self.reduction(op),
			"ArgMax" => self.arg(true),
			"ArgMin" => self.arg(false),
			"CumSum" => self.prefix(PrefixKind::Sum),
			"CumProd" => self.prefix(PrefixKind::Product),
			"TopK" => self.top_k(),
			"Gather" => self.gather(),
			"GatherElements" => self.gather_elements(),
			"GatherND" => self.gather_tuples(),
			"Scatter" | "ScatterElements" => self.scatter_elements(),
			"ScatterND" => self.scatter_tuples(),
			"ReverseSequence" => self.reverse_sequence(),
			"OneHot" => self.one_hot(),
			"Compress" => self.compress(),
			"NonZero" => self.non_zero(),
			"Unique" => self.unique(),
			"Slice" => self.slice(),
			"Pad" => self.pad(),
			"Tile" => self.tile(),
			"Expand" => self.expand(),
			"Split" => self.split(),
			"DepthToSpace" => self.depth_to_space(),
			"SpaceToDepth" => self.space_to_depth(),
			"Trilu" => self.triangle(),
			"EyeLike" => self.eye_like(),
			"Range" => self.range(),
			"ConstantOfShape" => self.constant_of_shape(),
			"Shape" => self.shape(),
			"Size" => self.size(),
			_ => return Ok(None),
		}?;
		Ok(Some(value))
	}
}
