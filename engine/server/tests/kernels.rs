//! The kernels as the engine's evaluator: the values of the reference, those that are asked for, in order.

mod support;

use assay_semantics::{evaluate, Tensor, ValueId};
use assay_server::{Evaluator, Kernels};
use support::{imported, shade};

/// What an evaluator gives to a visitor.
fn values(evaluator: &impl Evaluator, inputs: &[Tensor], only: Option<&[ValueId]>) -> Vec<(ValueId, Tensor)> {
	let mut list = Vec::new();
	evaluator.values(&imported(), inputs, only, &mut |v, tensor| list.push((v, tensor.clone()))).unwrap();
	list
}

#[test]
fn kernels_should_give_the_values_of_the_reference() {
	let kernels = Kernels::new(2, 4).unwrap();
	let model = imported();
	let input = Tensor::new(model.header().inputs[0].clone(), shade(77)).unwrap();
	let inputs = std::slice::from_ref(&input);
	assert_eq!(kernels.outputs(&model, inputs), evaluate(&model, inputs));
	assert_eq!(kernels.outputs_while(&model, inputs, &|| true).unwrap(), evaluate(&model, inputs).ok());
	assert_eq!(kernels.outputs_while(&model, inputs, &|| false).unwrap(), None);
	let last = model.nodes().len() as ValueId - 1;
	for only in [None, Some(&[0][..]), Some(&[last][..]), Some(&[3, 1][..]), Some(&[last / 2, 2][..]), Some(&[][..])] {
		// A function is an evaluator that walks with the reference.
		assert_eq!(values(&kernels, inputs, only), values(&evaluate, inputs, only), "{only:?}");
	}
}

#[test]
fn server_should_say_which_kernels_it_has() {
	let server = support::Server::start(Default::default());
	let answer = server.get("/v2");
	let name = serde_json::from_slice::<serde_json::Value>(&answer.body).unwrap()["kernels"].clone();
	assert!(["portable", "avx2", "avx512", "avx512-vnni", "avx512-amx"].iter().any(|known| name == *known), "{name}");
}
