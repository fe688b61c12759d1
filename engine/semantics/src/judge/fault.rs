//! What can be wrong with a message.

use crate::model::NodeError;
use codec::{Decode, DecodeWithMemTracking, Encode};
use core::fmt;
use scale_info::TypeInfo;

/// Why a message of a dispute is refused. It changes nothing then.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, DecodeWithMemTracking, TypeInfo)]
pub enum Fault {
	/// The bytes are more than a message may have.
	TooLong,
	/// The bytes are no such message.
	Malformed,
	/// The header is not that of the model.
	Model,
	/// The header is that of no valid model.
	Header,
	/// The inputs of the trace are not those of the job.
	InputRoot,
	/// The outputs of the trace are not those of the commitment.
	OutputRoot,
	/// The number of hashes is not what it must be.
	Count,
	/// The paths do not lead to the root of the model's graph.
	NodePath,
	/// The paths do not lead to the trace root.
	TracePath,
	/// The path does not lead to the root of the tiles.
	TilePath,
	/// The path does not lead to the root of the states.
	StatePath,
	/// The path does not lead to the root of the weights.
	WeightPath,
	/// There is no such iteration or value.
	Value,
	/// There is no such group, or the tree is opened without groups.
	Group,
	/// There is no such tile, or it has another number of bytes.
	Tile,
	/// There is no such element.
	Element,
	/// There is no such step.
	Step,
	/// The element is computed in one step: it has no partial states.
	NoStates,
	/// The element takes too many steps: demand its states and prove one of them.
	TooManySteps,
	/// No states of this element were opened.
	NotOpened,
	/// The value is an input or a weight.
	Source,
	/// The node is not a weight.
	NotWeight,
	/// The node is not valid: prove that.
	InvalidNode,
	/// The evidence that the demand needs is missing, or there is more.
	Evidence,
	/// The answer is not one to this demand.
	Answer,
	/// A tile that the computation reads is not opened.
	MissingTile,
	/// Nothing is wrong.
	NotWrong,
}

impl Fault {
	/// The fault in words.
	pub const fn words(self) -> &'static str {
		match self {
			Fault::TooLong => "the message is too long",
			Fault::Malformed => "the bytes are no such message",
			Fault::Model => "the header is not that of the model",
			Fault::Header => "the header is that of no valid model",
			Fault::InputRoot => "the inputs of the trace are not those of the job",
			Fault::OutputRoot => "the outputs of the trace are not those of the commitment",
			Fault::Count => "the number of hashes is not what it must be",
			Fault::NodePath => "the paths do not lead to the root of the model's graph",
			Fault::TracePath => "the paths do not lead to the trace root",
			Fault::TilePath => "the path does not lead to the root of the tiles",
			Fault::StatePath => "the path does not lead to the root of the states",
			Fault::WeightPath => "the path does not lead to the root of the weights",
			Fault::Value => "there is no such iteration or value",
			Fault::Group => "there is no such group, or the tree is opened without groups",
			Fault::Tile => "there is no such tile, or it has another number of bytes",
			Fault::Element => "there is no such element",
			Fault::Step => "there is no such step",
			Fault::NoStates => "the element is computed in one step: it has no partial states",
			Fault::TooManySteps => "the element takes too many steps: demand its states and prove one of them",
			Fault::NotOpened => "no states of this element were opened",
			Fault::Source => "the value is an input or a weight",
			Fault::NotWeight => "the node is not a weight",
			Fault::InvalidNode => "the node is not valid: prove that",
			Fault::Evidence => "the evidence that the demand needs is missing, or there is more",
			Fault::Answer => "the answer is not one to this demand",
			Fault::MissingTile => "a tile that the computation reads is not opened",
			Fault::NotWrong => "nothing is wrong",
		}
	}
}

impl fmt::Display for Fault {
	fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
		f.write_str(self.words())
	}
}

impl core::error::Error for Fault {}

impl From<NodeError> for Fault {
	fn from(_: NodeError) -> Self {
		Fault::InvalidNode
	}
}
