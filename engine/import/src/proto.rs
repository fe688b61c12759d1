//! The part of `onnx.proto3` that the importer reads, by hand: fields that are not here are skipped when decoding.
//!
//! Public so that tests and tools can build ONNX files.

#![allow(missing_docs)] // The names and numbers are ONNX's own; its schema is their documentation.

#[derive(Clone, PartialEq, prost::Message)]
pub struct ModelProto {
	#[prost(int64, tag = "1")]
	pub ir_version: i64,
	#[prost(string, tag = "2")]
	pub producer_name: String,
	#[prost(message, optional, tag = "7")]
	pub graph: Option<GraphProto>,
	#[prost(message, repeated, tag = "8")]
	pub opset_import: Vec<OperatorSetIdProto>,
	#[prost(message, repeated, tag = "25")]
	pub functions: Vec<FunctionProto>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct FunctionProto {
	#[prost(string, tag = "1")]
	pub name: String,
	#[prost(string, repeated, tag = "4")]
	pub input: Vec<String>,
	#[prost(string, repeated, tag = "5")]
	pub output: Vec<String>,
	/// Names of attributes that have no default.
	#[prost(string, repeated, tag = "6")]
	pub attribute: Vec<String>,
	#[prost(message, repeated, tag = "7")]
	pub node: Vec<NodeProto>,
	#[prost(message, repeated, tag = "9")]
	pub opset_import: Vec<OperatorSetIdProto>,
	#[prost(string, tag = "10")]
	pub domain: String,
	/// Attributes that have one.
	#[prost(message, repeated, tag = "11")]
	pub attribute_proto: Vec<AttributeProto>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct OperatorSetIdProto {
	#[prost(string, tag = "1")]
	pub domain: String,
	#[prost(int64, tag = "2")]
	pub version: i64,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct GraphProto {
	#[prost(message, repeated, tag = "1")]
	pub node: Vec<NodeProto>,
	#[prost(string, tag = "2")]
	pub name: String,
	#[prost(message, repeated, tag = "5")]
	pub initializer: Vec<TensorProto>,
	#[prost(message, repeated, tag = "11")]
	pub input: Vec<ValueInfoProto>,
	#[prost(message, repeated, tag = "12")]
	pub output: Vec<ValueInfoProto>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct NodeProto {
	#[prost(string, repeated, tag = "1")]
	pub input: Vec<String>,
	#[prost(string, repeated, tag = "2")]
	pub output: Vec<String>,
	#[prost(string, tag = "3")]
	pub name: String,
	#[prost(string, tag = "4")]
	pub op_type: String,
	#[prost(message, repeated, tag = "5")]
	pub attribute: Vec<AttributeProto>,
	#[prost(string, tag = "7")]
	pub domain: String,
}

/// `type`: 1 float, 2 int, 3 string, 4 tensor, 5 graph, 6 floats, 7 ints, 8 strings.
#[derive(Clone, PartialEq, prost::Message)]
pub struct AttributeProto {
	#[prost(string, tag = "1")]
	pub name: String,
	#[prost(float, tag = "2")]
	pub f: f32,
	#[prost(int64, tag = "3")]
	pub i: i64,
	#[prost(bytes = "vec", tag = "4")]
	pub s: Vec<u8>,
	#[prost(message, optional, tag = "5")]
	pub t: Option<TensorProto>,
	#[prost(message, optional, boxed, tag = "6")]
	pub g: Option<Box<GraphProto>>,
	#[prost(float, repeated, tag = "7")]
	pub floats: Vec<f32>,
	#[prost(int64, repeated, tag = "8")]
	pub ints: Vec<i64>,
	#[prost(bytes = "vec", repeated, tag = "9")]
	pub strings: Vec<Vec<u8>>,
	#[prost(int32, tag = "20")]
	pub r#type: i32,
	/// In a function's body: the attribute of the call that this one takes its value from.
	#[prost(string, tag = "21")]
	pub ref_attr_name: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct TensorProto {
	#[prost(int64, repeated, tag = "1")]
	pub dims: Vec<i64>,
	#[prost(int32, tag = "2")]
	pub data_type: i32,
	#[prost(float, repeated, tag = "4")]
	pub float_data: Vec<f32>,
	#[prost(int32, repeated, tag = "5")]
	pub int32_data: Vec<i32>,
	#[prost(int64, repeated, tag = "7")]
	pub int64_data: Vec<i64>,
	#[prost(string, tag = "8")]
	pub name: String,
	/// A part of the file's memory when that is shared.
	#[prost(bytes = "bytes", tag = "9")]
	pub raw_data: prost::bytes::Bytes,
	#[prost(double, repeated, tag = "10")]
	pub double_data: Vec<f64>,
	#[prost(uint64, repeated, tag = "11")]
	pub uint64_data: Vec<u64>,
	/// 1: the data is in another file.
	#[prost(int32, tag = "14")]
	pub data_location: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct ValueInfoProto {
	#[prost(string, tag = "1")]
	pub name: String,
	#[prost(message, optional, tag = "2")]
	pub r#type: Option<TypeProto>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct TypeProto {
	#[prost(message, optional, tag = "1")]
	pub tensor_type: Option<TensorTypeProto>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct TensorTypeProto {
	#[prost(int32, tag = "1")]
	pub elem_type: i32,
	#[prost(message, optional, tag = "2")]
	pub shape: Option<TensorShapeProto>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub struct TensorShapeProto {
	#[prost(message, repeated, tag = "1")]
	pub dim: Vec<Dimension>,
}

/// Neither field: a dimension that is not known.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Dimension {
	#[prost(int64, optional, tag = "1")]
	pub dim_value: Option<i64>,
	#[prost(string, optional, tag = "2")]
	pub dim_param: Option<String>,
}
