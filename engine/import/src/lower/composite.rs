//! Composite operators: those that are lowered to several others.

use super::{recurrent::Cell, Lowering, Outputs};
use crate::error::Reason;

impl Lowering<'_> {
	/// The node's outputs; `None` when the operator is not one of these.
	pub(super) fn composite(&mut self, op: &str) -> Result<Option<Outputs>, Reason> {
		let outputs = match op {
			"BatchNormalization" => self.batch_normalization_in_training(),
			"LayerNormalization" => self.layer_normalization(),
			"RMSNormalization" => self.rms_normalization(),
			"InstanceNormalization" => self.instance_normalization(),
			"GroupNormalization" => self.group_normalization(),
			"MeanVarianceNormalization" => self.mean_variance_normalization(),
			"LpNormalization" => self.lp_normalization(),
			"LRN" => self.lrn(),
			"Softmax" => self.softmax(),
			"LogSoftmax" => self.log_softmax(),
			"Hardmax" => self.hardmax(),
			"Gelu" => self.gelu(),
			"SwiGLU" => self.swiglu(),
			"NegativeLogLikelihoodLoss" => self.nll_loss(),
			"SoftmaxCrossEntropyLoss" => self.softmax_cross_entropy_loss(),
			"Attention" => self.attention(),
			"FlexAttention" => self.flex_attention(),
			"LinearAttention" => self.linear_attention(),
			"CausalConvWithState" => self.causal_conv(),
			"RotaryEmbedding" => self.rotary_embedding(),
			"If" => self.branch(),
			"Loop" => self.repeat(),
			"Scan" => self.scan(),
			"MaxPool" => self.max_pool(),
			"AveragePool" => self.average_pool(),
			"LpPool" => self.lp_pool(),
			"GlobalLpPool" => self.global_lp_pool(),
			"MaxUnpool" => self.max_unpool(),
			"ConvTranspose" => self.conv_transpose(),
			"Col2Im" => self.col2im(),
			"CenterCropPad" => self.center_crop_pad(),
			"TensorScatter" => self.tensor_scatter(),
			"Resize" => self.resize(),
			"Upsample" => self.upsample(),
			"GridSample" => self.grid_sample(),
			"AffineGrid" => self.affine_grid(),
			"RoiAlign" => self.roi_align(),
			"DeformConv" => self.deform_conv(),
			"QuantizeLinear" => self.quantize_linear(),
			"DequantizeLinear" => self.dequantize_linear(),
			"DynamicQuantizeLinear" => self.dynamic_quantize_linear(),
			"MatMulInteger" => self.mat_mul_integer(),
			"QLinearMatMul" => self.qlinear_mat_mul(),
			"ConvInteger" => self.conv_integer(),
			"QLinearConv" => self.qlinear_conv(),
			"RNN" => self.recurrent(Cell::Rnn),
			"GRU" => self.recurrent(Cell::Gru),
			"LSTM" => self.recurrent(Cell::Lstm),
			_ => return Ok(None),
		};
		outputs.map(Some)
	}
}
