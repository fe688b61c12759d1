//! One job: what the chain says about it, and what happened to it.

use crate::{
	amount::Amount,
	args::{Global, Job},
	chain::{call, At, Chain, Config},
	models,
	report::Report,
	sending::send,
	types::{
		variant_name, Assigned, Bytes32, Committed, DeclinedFields, JobEvent, MissedFields, OfJob, OverturnedFields,
		RefundFields, RequestedFields, Settled,
	},
};
use anyhow::bail;
use assay_semantics::{DType, TensorType};
use serde_json::{json, Value as Json};
use subxt::{
	dynamic::Value,
	events::{Events, Phase},
	ext::scale_decode::DecodeAsType,
	utils::AccountId32,
};

/// Everything that a block says about jobs: in which phase, which job, what.
pub fn events_in(events: &Events<Config>) -> anyhow::Result<Vec<(Phase, u64, JobEvent)>> {
	let mut found = Vec::new();
	for event in events.iter() {
		let event = event?;
		if event.pallet_name() != "Inference" {
			continue;
		}
		let Ok(OfJob { job }) = event.decode_fields_unchecked_as::<OfJob>() else { continue };
		let what = match event.event_name() {
			"Requested" => {
				let RequestedFields { requester } = event.decode_fields_unchecked_as()?;
				JobEvent::Requested { requester }
			}
			"Assigned" => JobEvent::Assigned(event.decode_fields_unchecked_as::<Assigned>()?),
			"Declined" => {
				let DeclinedFields { worker, reason } = event.decode_fields_unchecked_as()?;
				JobEvent::Declined { worker, reason: variant_name(&reason) }
			}
			"Missed" => {
				let MissedFields { worker, penalty } = event.decode_fields_unchecked_as()?;
				JobEvent::Missed { worker, penalty }
			}
			"Committed" => JobEvent::Committed(event.decode_fields_unchecked_as::<Committed>()?),
			"Settled" => JobEvent::Settled(event.decode_fields_unchecked_as::<Settled>()?),
			"Overturned" => {
				let OverturnedFields { worker } = event.decode_fields_unchecked_as()?;
				JobEvent::Overturned { worker }
			}
			"Expired" => {
				let RefundFields { refund } = event.decode_fields_unchecked_as()?;
				JobEvent::Expired { refund }
			}
			"Cancelled" => {
				let RefundFields { refund } = event.decode_fields_unchecked_as()?;
				JobEvent::Cancelled { refund }
			}
			other => JobEvent::Other(other.into()),
		};
		found.push((event.phase(), job, what));
	}
	Ok(found)
}

/// `Inference.Jobs`.
#[derive(DecodeAsType, Clone, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub struct OpenJob {
	pub requester: AccountId32,
	pub nonce: u32,
	pub model: Bytes32,
	pub input_root: Bytes32,
	pub max_fee: u128,
	pub escrow: u128,
	pub coverage: u128,
	pub deadline: u32,
	pub window: u32,
	pub stage: Stage,
}

/// How far a job is.
#[derive(DecodeAsType, Clone, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub enum Stage {
	Waiting { draws: u32 },
	Assigned(Assignment),
	Committed { assignment: Assignment, claim: Bytes32, committed_at: u32, settles_at: u32 },
}

/// A job in a worker's hands.
#[derive(DecodeAsType, Clone, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub struct Assignment {
	pub worker: AccountId32,
	pub fee: u128,
	pub bond: u128,
	pub assigned_at: u32,
	pub answer_by: u32,
}

/// `Inference.Results`.
#[derive(DecodeAsType, Clone, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
#[allow(missing_docs)]
pub struct JobResult {
	pub model: Bytes32,
	pub requester: AccountId32,
	pub worker: AccountId32,
	pub output: Output,
	pub output_root: Bytes32,
	pub claim: Bytes32,
	pub coverage: u128,
	pub independent: bool,
	pub committed_at: u32,
	pub settles_at: u32,
}

/// An output.
#[derive(DecodeAsType, Clone, Debug)]
#[decode_as_type(crate_path = "subxt::ext::scale_decode")]
pub enum Output {
	/// On the chain.
	Inline(Vec<u8>),
}

impl Output {
	/// The bytes.
	pub fn bytes(&self) -> &[u8] {
		let Self::Inline(bytes) = self;
		bytes
	}
}

/// The open job of that number, if there is one.
pub async fn open(chain: &Chain, at: &At, id: u64) -> anyhow::Result<Option<OpenJob>> {
	chain.storage(at, "Inference", "Jobs", (id,)).await
}

/// The result of the job of that number, if there is one.
pub async fn result(chain: &Chain, at: &At, id: u64) -> anyhow::Result<Option<JobResult>> {
	chain.storage(at, "Inference", "Results", (id,)).await
}

/// An answer, for people and for scripts.
pub struct Answer {
	/// One line.
	pub text: String,
	/// All of it.
	pub json: Json,
}

/// The most numbers of an output that are shown to people.
const SHOWN: usize = 8;

/// What an output says. A vector of floats is read as scores of classes.
pub fn answer(bytes: &[u8], types: &[TensorType]) -> Answer {
	let raw = format!("0x{}", hex::encode(bytes));
	let fits = assay_semantics::side_byte_len(types).is_some_and(|length| length == bytes.len() as u64);
	let (Some(ty), true, 1) = (types.first(), fits, types.len()) else {
		let signature = crate::input::signature(types);
		return Answer { text: format!("{} bytes of {signature}", bytes.len()), json: json!({ "raw": raw }) };
	};
	let mut object = json!({ "datatype": ty.dtype.name(), "shape": ty.dims, "raw": raw });
	if ty.dtype != DType::F32 {
		return Answer { text: format!("{ty}, {} bytes", bytes.len()), json: object };
	}
	let values: Vec<f32> =
		bytes.chunks_exact(4).filter_map(|chunk| chunk.try_into().ok()).map(f32::from_le_bytes).collect();
	// JSON knows no NaN and no infinity: they become null, and the raw bytes say which.
	object["data"] = values.iter().map(|&value| json!(value)).collect();
	let is_vector = ty.dims.len() <= 2 && ty.dims.iter().filter(|&&dim| dim != 1).count() <= 1 && values.len() > 1;
	let best =
		values.iter().copied().enumerate().filter(|(_, value)| !value.is_nan()).max_by(|a, b| a.1.total_cmp(&b.1));
	let text = match best {
		Some((class, score)) if is_vector => {
			let sum: f32 = values.iter().sum();
			let probabilities = values.iter().all(|value| (0.0..=1.0).contains(value)) && (sum - 1.0).abs() < 1e-3;
			object["class"] = class.into();
			object["score"] = json!(score);
			if probabilities {
				format!("{class} (probability {:.2} %)", score * 100.0)
			} else {
				format!("class {class} (score {score})")
			}
		}
		_ => {
			let shown: Vec<String> = values.iter().take(SHOWN).map(ToString::to_string).collect();
			let dots = if values.len() > SHOWN { ", …" } else { "" };
			format!("{ty}: {}{dots}", shown.join(", "))
		}
	};
	Answer { text, json: object }
}

/// `assay job`.
pub async fn run(command: &Job, global: &Global, chain: &Chain, report: &Report) -> anyhow::Result<()> {
	let id = command.id;
	if command.cancel {
		let call = call("Inference", "cancel", [("job", Value::u128(id.into()))]);
		let done = format!("Cancelled job {id}. What it had in escrow is yours again.");
		return send(&call, &format!("take the request of job {id} back"), &done, global, chain, report).await;
	}
	let at = chain.best().await?;
	let now = at.block_number();
	let (job, result) = (open(chain, &at, id).await?, result(chain, &at, id).await?);
	let mut object = json!({ "job": id, "block": now });
	let Some(model_id) = job.as_ref().map(|job| job.model).or_else(|| result.as_ref().map(|result| result.model))
	else {
		let next: u64 = chain.storage(&at, "Inference", "NextJobId", ()).await.ok().flatten().unwrap_or(u64::MAX);
		if id >= next {
			bail!("there is no job {id} yet");
		}
		bail!("job {id} has ended without an answer, or its result has been forgotten: results are kept for a bounded time only");
	};
	let model = models::find(chain, &at, &format!("0x{}", hex::encode(model_id))).await.ok();
	let title = model.as_ref().map_or_else(|| format!("0x{}", hex::encode(model_id)), models::OnChain::title);
	report.line(format!("Job {id}, model {title}"));
	object["model"] = format!("0x{}", hex::encode(model_id)).into();

	let mut state = "settled";
	if let Some(job) = &job {
		report.line(format!("  for       {}, at most {}", job.requester, Amount(job.max_fee)));
		object["requester"] = job.requester.to_string().into();
		object["max_fee"] = job.max_fee.to_string().into();
		object["coverage"] = job.coverage.to_string().into();
		object["deadline"] = job.deadline.into();
		match &job.stage {
			Stage::Waiting { draws } => {
				state = "waiting";
				let why = if *draws > 0 { "no worker was free so far" } else { "it was just made" };
				report.line(format!(
					"  waiting   for a worker ({why}); it ends at block {} if none answers",
					job.deadline
				));
			}
			Stage::Assigned(assignment) => {
				state = "assigned";
				report.line(format!(
					"  assigned  to {}, which must answer by block {}",
					assignment.worker, assignment.answer_by
				));
				object["worker"] = assignment.worker.to_string().into();
				object["fee"] = assignment.fee.to_string().into();
			}
			Stage::Committed { assignment, settles_at, .. } => {
				state = "answered";
				let left = u64::from(*settles_at).saturating_sub(now);
				report.line(format!("  answered  by {}; can be challenged for {left} more blocks", assignment.worker));
				object["worker"] = assignment.worker.to_string().into();
				object["fee"] = assignment.fee.to_string().into();
				object["settles_at"] = (*settles_at).into();
			}
		}
	}
	if let Some(result) = &result {
		// An answer is settled once its job is no longer open.
		if job.is_none() {
			let lifetime: u32 = chain.constant(&at, "Inference", "ResultLifetime")?;
			let readable_until = result.settles_at.saturating_add(lifetime);
			report.line(format!("  settled   worker {}; readable until block {readable_until}", result.worker));
			object["readable_until"] = readable_until.into();
			object["requester"] = result.requester.to_string().into();
			object["worker"] = result.worker.to_string().into();
			object["coverage"] = result.coverage.to_string().into();
		}
		let types = model.as_ref().map(|model| model.record.outputs()).unwrap_or_default();
		let answer = answer(result.output.bytes(), &types);
		let root = format!("0x{}", hex::encode(result.output_root));
		report.line(format!("  answer    {}", answer.text));
		report.line(format!("  root      {root}"));
		if !result.independent {
			report.line(
				"  No one else serves this model: nobody but the worker is known to be able to check the answer.",
			);
		}
		object["output"] = answer.json;
		object["output_root"] = root.into();
		object["claim"] = format!("0x{}", hex::encode(result.claim)).into();
		object["committed_at"] = result.committed_at.into();
		object["independent"] = result.independent.into();
	}
	object["state"] = state.into();
	report.finish(object);
	Ok(())
}

#[cfg(test)]
mod tests {
	use super::*;

	fn bytes(values: &[f32]) -> Vec<u8> {
		values.iter().flat_map(|value| value.to_le_bytes()).collect()
	}

	#[test]
	fn answer_should_name_the_class_when_the_output_is_a_vector() {
		let types = [TensorType::new(DType::F32, vec![1, 3])];
		let probable = answer(&bytes(&[0.1, 0.75, 0.15]), &types);
		assert_eq!(probable.text, "1 (probability 75.00 %)");
		assert_eq!(probable.json["class"], 1);
		assert_eq!(answer(&bytes(&[-1.0, 7.5, 2.0]), &types).text, "class 1 (score 7.5)");
		assert_eq!(answer(&bytes(&[f32::NAN, 7.5, f32::NAN]), &types).json["class"], 1);
		assert!(answer(&bytes(&[f32::NAN; 3]), &types).json["class"].is_null());
	}

	#[test]
	fn answer_should_show_the_first_values_when_the_output_is_something_else() {
		let types = [TensorType::new(DType::F32, vec![1, 2, 5])];
		let text = answer(&bytes(&[0.5; 10]), &types).text;
		assert!(text.starts_with("FP32[1,2,5]: 0.5, ") && text.ends_with('…'), "{text}");
		assert_eq!(answer(&[1, 2], &[TensorType::new(DType::U8, vec![2])]).text, "UINT8[2], 2 bytes");
		assert_eq!(answer(&[1], &types).text, "1 bytes of FP32[1,2,5]");
	}
}
