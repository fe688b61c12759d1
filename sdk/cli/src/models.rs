//! Models on the chain.

use crate::{
	account::{author, Who},
	amount::{Amount, Share},
	args::{Global, ModelsCommand, Register},
	chain::{call, At, Chain},
	input::signature,
	report::Report,
	sending::{agreed, send},
	table::{Column, Table},
	types::{text, Bytes32, ModelRecord, ModelStatus, Terms},
};
use anyhow::{bail, Context};
use assay_semantics::{DType, Model, TensorType};
use serde_json::{json, Value as Json};
use std::{fs, future::Future, io::Write};
use subxt::{dynamic::Value, utils::AccountId32};

/// The largest model file that is read.
const MAX_FILE: u64 = 4 << 30;

/// A model as it stands on the chain.
pub struct OnChain {
	/// Its id.
	pub id: Bytes32,
	/// Its record.
	pub record: ModelRecord,
}

impl OnChain {
	/// The id as people see it.
	pub fn id_hex(&self) -> String {
		format!("0x{}", hex::encode(self.id))
	}

	/// Name and version.
	pub fn title(&self) -> String {
		format!("{} v{}", self.record.name(), self.record.version)
	}
}

/// Every model.
pub async fn all(chain: &Chain, at: &At) -> anyhow::Result<Vec<OnChain>> {
	let mut models: Vec<OnChain> = chain
		.storage_map::<Bytes32, ModelRecord>(at, "Models", "Models")
		.await?
		.into_iter()
		.map(|(id, record)| OnChain { id, record })
		.collect();
	models.sort_by(|a, b| (&a.record.name, a.record.version, a.id).cmp(&(&b.record.name, b.record.version, b.id)));
	Ok(models)
}

/// The model that `name` means: an id, `owner/name`, or a name that no two owners have. A name means its latest version.
pub async fn find(chain: &Chain, at: &At, name: &str) -> anyhow::Result<OnChain> {
	if let Some(digits) = name.strip_prefix("0x") {
		let id = hex::decode(digits).ok().and_then(|bytes| Bytes32::try_from(bytes).ok());
		let id = id.with_context(|| format!("{name} is no model id: 0x and 64 hex digits"))?;
		let record = chain.storage(at, "Models", "Models", (id,)).await?;
		let record = record.with_context(|| format!("no model {name} is registered; see `assay models list`"))?;
		return Ok(OnChain { id, record });
	}
	// From the right, so that `//Dave/digits` is Dave's.
	let (owner, short) = match name.rsplit_once('/') {
		Some((owner, short)) => (Some(owner.parse::<Who>().map_err(anyhow::Error::msg)?.id()?), short),
		None => (None, name),
	};
	let mut found: Vec<OnChain> = all(chain, at)
		.await?
		.into_iter()
		.filter(|model| model.record.name() == short && owner.as_ref().is_none_or(|owner| *owner == model.record.owner))
		.collect();
	let owners: std::collections::BTreeSet<Bytes32> = found.iter().map(|model| model.record.owner.0).collect();
	if owners.len() > 1 {
		let names: Vec<String> = owners.iter().map(|owner| format!("{}/{short}", AccountId32(*owner))).collect();
		bail!("several owners have a model named {short:?}; say which: {}", names.join(", "));
	}
	found.sort_by_key(|model| model.record.version);
	found.pop().with_context(|| format!("no model named {name:?} is registered; see `assay models list`"))
}

/// The workers that serve a model, with their terms.
pub async fn servers(chain: &Chain, at: &At, id: &Bytes32) -> anyhow::Result<Vec<(AccountId32, Terms)>> {
	chain.view(at, "Workers", "servers", (*id,)).await
}

fn types_json(types: &[TensorType], names: &[Vec<u8>]) -> Json {
	let tensor = |(index, ty): (usize, &TensorType)| json!({ "name": names.get(index).map(|name| text(name)), "datatype": ty.dtype.name(), "shape": ty.dims });
	types.iter().enumerate().map(tensor).collect()
}

fn to_json(model: &OnChain) -> Json {
	let record = &model.record;
	json!({
		"id": model.id_hex(),
		"owner": record.owner.to_string(),
		"name": record.name(),
		"version": record.version,
		"status": record.status.word(),
		"inputs": types_json(&record.inputs(), &record.input_names),
		"outputs": types_json(&record.outputs(), &record.output_names),
		"artifacts": record.artifacts.iter().map(|url| text(url)).collect::<Vec<_>>(),
		"price": record.price.to_string(),
		"royalty_ppm": record.royalty,
		"window": record.policy.window(),
		"deposit": record.deposit.to_string(),
		"semantics_version": record.header.semantics_version,
		"ir_root": format!("0x{}", hex::encode(record.header.ir_root)),
		"weight_root": format!("0x{}", hex::encode(record.header.weight_root)),
	})
}

/// `assay models`.
pub async fn run<F, C>(command: ModelsCommand, global: &Global, connect: F, report: &Report) -> anyhow::Result<()>
where
	F: FnOnce() -> C,
	C: Future<Output = anyhow::Result<Chain>>,
{
	match command {
		ModelsCommand::List => list(&connect().await?, report).await,
		ModelsCommand::Show { model } => show(&model, &connect().await?, report).await,
		ModelsCommand::Register(command) => {
			// The file is looked at first: it may be wrong without any chain's help.
			let (model, header, file) = load(&command)?;
			author(global)?;
			register(&command, &model, &header, file, global, &connect().await?, report).await
		}
		ModelsCommand::Price { model, price } => {
			let more = Some(("price", Value::u128(price.0)));
			let words = |title: &str| format!("ask {price} at least for an inference by {title}");
			change(&model, "set_price", more, words, global, &connect().await?, report).await
		}
		ModelsCommand::Deprecate { model } => {
			let words = |title: &str| format!("let {title} take no new requests, for good");
			change(&model, "deprecate_model", None, words, global, &connect().await?, report).await
		}
		ModelsCommand::Remove { model } => {
			let words = |title: &str| format!("remove {title} and take its deposit back");
			change(&model, "remove_model", None, words, global, &connect().await?, report).await
		}
	}
}

/// Signs and sends a call on a model of one's own.
async fn change(
	model: &str,
	name: &str,
	more: Option<(&'static str, Value)>,
	words: impl FnOnce(&str) -> String,
	global: &Global,
	chain: &Chain,
	report: &Report,
) -> anyhow::Result<()> {
	let model = find(chain, &chain.best().await?, model).await?;
	let arguments = [("model", Value::from_bytes(model.id))].into_iter().chain(more);
	let call = call("Models", name, arguments);
	let done = format!("Done: {} of {}.", name.replace('_', " "), model.title());
	send(&call, &words(&model.title()), &done, global, chain, report).await
}

async fn list(chain: &Chain, report: &Report) -> anyhow::Result<()> {
	let at = chain.best().await?;
	let models = all(chain, &at).await?;
	if models.is_empty() {
		report.line("No model is registered yet. Register one with `assay models register`.");
	}
	let columns = [
		Column::left("model"),
		Column::right("from"),
		Column::left("takes"),
		Column::left("gives"),
		Column::id("id"),
		Column::id("owner"),
	];
	let mut table = Table::new(columns);
	for model in &models {
		let record = &model.record;
		let status = match record.status {
			ModelStatus::Active => String::new(),
			status => format!(" ({})", status.word()),
		};
		table.row([
			format!("{}{status}", model.title()),
			Amount(record.price).to_string(),
			signature(&record.inputs()),
			signature(&record.outputs()),
			model.id_hex(),
			record.owner.to_string(),
		]);
	}
	report.table(&table);
	report.finish(json!({ "models": models.iter().map(to_json).collect::<Vec<_>>() }));
	Ok(())
}

async fn show(name: &str, chain: &Chain, report: &Report) -> anyhow::Result<()> {
	let at = chain.best().await?;
	let model = find(chain, &at, name).await?;
	let servers = servers(chain, &at, &model.id).await?;
	let record = &model.record;
	let named = |types: Vec<TensorType>, names: &[Vec<u8>]| {
		let tensors = types.iter().enumerate();
		tensors
			.map(|(i, ty)| format!("{} {ty}", text(names.get(i).map_or(&[], |name| name))))
			.collect::<Vec<_>>()
			.join(", ")
	};
	report.line(format!("{}  ({})", model.title(), record.status.word()));
	report.line(format!("  id        {}", model.id_hex()));
	report.line(format!("  owner     {}", record.owner));
	report.line(format!("  takes     {}", named(record.inputs(), &record.input_names)));
	report.line(format!("  gives     {}", named(record.outputs(), &record.output_names)));
	report.line(format!(
		"  price     {}, of which the owner gets {}",
		Amount(record.price),
		Share(record.royalty.saturating_mul(1_000))
	));
	report.line(format!("  window    {} blocks", record.policy.window()));
	for url in &record.artifacts {
		report.line(format!("  artifact  {}", text(url)));
	}
	if servers.is_empty() {
		report.line("  Nobody serves it now, so a request would expire.");
	}
	let columns = [
		Column::id("worker"),
		Column::right("from"),
		Column::right("coverage per block"),
		Column::right("at once"),
		Column::right("least deadline"),
	];
	let mut table = Table::new(columns);
	for (worker, terms) in &servers {
		table.row([
			worker.to_string(),
			Amount(terms.min_price.max(record.price)).to_string(),
			Share(terms.coverage_price).to_string(),
			terms.capacity.to_string(),
			format!("{} blocks", terms.min_deadline),
		]);
	}
	report.table(&table);
	let mut object = to_json(&model);
	object["workers"] = servers
		.iter()
		.map(|(worker, terms)| {
			json!({
				"worker": worker.to_string(),
				"capacity": terms.capacity,
				"min_price": terms.min_price.to_string(),
				"coverage_price_ppb": terms.coverage_price,
				"min_deadline": terms.min_deadline,
			})
		})
		.collect();
	report.finish(object);
	Ok(())
}

/// A model from a file, with its canonical form.
fn load(command: &Register) -> anyhow::Result<(Model, assay_semantics::ModelHeader, Vec<u8>)> {
	let path = &command.file;
	let size = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.len();
	if size > MAX_FILE {
		bail!("{} has {size} bytes; at most {MAX_FILE} are read", path.display());
	}
	let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
	let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default().to_ascii_lowercase();
	let context = || format!("{} is not a model that Assay can run", path.display());
	let (model, file) = match extension.as_str() {
		"onnx" => {
			let model = assay_import::import_onnx(&bytes).with_context(context)?;
			let file = assay_import::write_artifact(&model);
			(model, file)
		}
		"assay" => (assay_import::read_artifact(&bytes).with_context(context)?, bytes),
		_ => bail!("the name of {} must end in .onnx or .assay", path.display()),
	};
	if let Some(permill) = command.royalty.permill() {
		if permill > 300_000 {
			bail!("the royalty is at most 30 %");
		}
	} else {
		bail!("the royalty is counted in millionths; {} is finer than that", command.royalty);
	}
	let header = model.header();
	Ok((model, header, file))
}

fn dtype(ty: DType) -> Value {
	Value::unnamed_variant(format!("{ty:?}"), [])
}

fn texts<'a>(names: impl IntoIterator<Item = &'a String>) -> Value {
	Value::unnamed_composite(names.into_iter().map(|name| Value::from_bytes(name.as_bytes())))
}

fn header_value(header: &assay_semantics::ModelHeader) -> Value {
	let number = |n: u32| Value::u128(n.into());
	let tensors = |types: &[TensorType]| {
		Value::unnamed_composite(types.iter().map(|ty| {
			let dims = Value::unnamed_composite(ty.dims.iter().map(|&dim| number(dim)));
			Value::named_composite([("dtype", dtype(ty.dtype)), ("dims", dims)])
		}))
	};
	Value::named_composite([
		("semantics_version", number(header.semantics_version)),
		("ir_root", Value::from_bytes(header.ir_root)),
		("values", number(header.values)),
		("weight_root", Value::from_bytes(header.weight_root)),
		("inputs", tensors(&header.inputs)),
		("outputs", tensors(&header.outputs)),
		("max_iterations", number(header.max_iterations)),
	])
}

async fn register(
	command: &Register,
	model: &Model,
	header: &assay_semantics::ModelHeader,
	file: Vec<u8>,
	global: &Global,
	chain: &Chain,
	report: &Report,
) -> anyhow::Result<()> {
	let at = chain.best().await?;
	let window = match command.window {
		Some(window) => window,
		None => default_window(chain, &at, command.recompute_blocks)?,
	};
	let number = |n: u32| Value::u128(n.into());
	let policy = Value::unnamed_variant(
		"V1",
		[Value::named_composite([
			("required", Value::unnamed_composite([Value::unnamed_variant("Recomputation", [])])),
			("window", number(window)),
			("recompute_blocks", number(command.recompute_blocks)),
			("trace_blocks", number(command.trace_blocks)),
		])],
	);
	let registration = Value::named_composite([
		("header", header_value(header)),
		("input_names", texts(&model.names().inputs)),
		("output_names", texts(&model.names().outputs)),
		("artifacts", texts(&command.artifact)),
		("price", Value::u128(command.price.0)),
		("royalty", number(command.royalty.permill().unwrap_or_default())),
		("policy", policy),
	]);
	let name = if command.update { "register_version" } else { "register_model" };
	let arguments = [("name", Value::from_bytes(command.name.as_bytes())), ("registration", registration)];
	let call = call("Models", name, arguments);
	let id = header.id();
	let words = format!(
		"register {} as the model {:?} (id 0x{}), {} an answer, of which {} is yours; a deposit is held until you remove it",
		command.file.display(),
		command.name,
		hex::encode(id),
		command.price,
		command.royalty
	);
	let Some(signer) = agreed(&call, &words, global, chain, report).await? else { return Ok(()) };
	// Before anything is paid for.
	if let Some(path) = &command.save {
		let mut saved = fs::File::create_new(path).with_context(|| format!("cannot make {}", path.display()))?;
		saved.write_all(&file).with_context(|| format!("cannot write {}", path.display()))?;
	}
	let included = chain.submit(&signer, &call).await?;

	let stands = find(chain, &chain.at(included.hash).await?, &format!("0x{}", hex::encode(id))).await?;
	report.line(format!("Registered {} in block {}", stands.title(), included.block));
	report.line(format!("  id       {}", stands.id_hex()));
	report.line(format!("  takes    {}", signature(&stands.record.inputs())));
	report.line(format!("  gives    {}", signature(&stands.record.outputs())));
	report.line(format!("  deposit  {}, yours again when you remove it", Amount(stands.record.deposit)));
	match &command.save {
		Some(path) => report.line(format!("  saved    {} ({} bytes)", path.display(), file.len())),
		None => report.line(format!("Workers need its canonical form ({} bytes): --save FILE writes it.", file.len())),
	}
	let mut object = to_json(&stands);
	object["block"] = included.block.into();
	report.finish(object);
	Ok(())
}

/// The shortest window that the chain allows for a model that takes so long to recompute.
fn default_window(chain: &Chain, at: &At, recompute_blocks: u32) -> anyhow::Result<u32> {
	let shortest: u32 = chain.constant(at, "Models", "MinWindow")?;
	let slack: u32 = chain.constant(at, "Models", "WindowSlack")?;
	Ok(shortest.max(recompute_blocks.saturating_mul(2).saturating_add(slack)))
}
