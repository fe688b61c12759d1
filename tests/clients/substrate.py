"""A Python program's view of the chain by async-substrate-interface and nothing of ours: mortal and immortal transactions of a worker, an error
by its name, a request and its answer. Prints one JSON object; what it is doing goes to stderr."""

import json
import os
import signal
import struct
import sys

import sr25519
from async_substrate_interface.sync_substrate import SubstrateInterface
from scalecodec.utils.ss58 import ss58_encode

OPG = 10**18
SS58_PREFIX = 42
# Substrate's development phrase, as a seed.
DEV_SEED = bytes.fromhex("fac7959dbfe72f052e5a0c3c8d6530f202b02fd8f9f5ca3580ec8deb7797479e")
# An answer takes three blocks.
PATIENCE = 20


class Key:
    """A development key: `Key("Bob")` is //Bob."""

    crypto_type = 1
    ss58_format = SS58_PREFIX

    def __init__(self, name: str):
        chain_code = (bytes([len(name) << 2]) + name.encode()).ljust(32, b"\0")
        pair = sr25519.pair_from_seed(DEV_SEED)
        _, self.public_key, self._secret = sr25519.hard_derive_keypair((chain_code, *pair), b"")
        self.ss58_address = ss58_encode(self.public_key, SS58_PREFIX)

    def sign(self, data) -> bytes:
        # The library hands over its own bytes.
        return sr25519.sign((self.public_key, self._secret), bytes(getattr(data, "data", data)))


def check(holds: bool, what: str, seen: object = "") -> None:
    if not holds:
        sys.exit(f"{what}: {seen}")


def submit(chain: SubstrateInterface, key: Key, pallet: str, function: str, params: dict, era: dict | None):
    """Signs, submits and waits until it is in a block. None for an era that never ends."""
    call = chain.compose_call(pallet, function, params)
    receipt = chain.submit_extrinsic(chain.create_signed_extrinsic(call, key, era=era), wait_for_inclusion=True)
    print(f"{receipt.get_extrinsic_identifier()}: {pallet}.{function}", file=sys.stderr)
    seen = chain.get_block(receipt.block_hash)["extrinsics"][receipt.extrinsic_idx].value["era"]
    check((seen != "00") == (era is not None), "the block has a transaction with another era", seen)
    return receipt


def event(receipt, pallet: str, name: str) -> dict:
    """What the event says that the transaction caused."""
    for record in receipt.triggered_events:
        found = record["event"]
        if (found["module_id"], found["event_id"]) == (pallet, name):
            return found["attributes"]
    sys.exit(f"there is no {pallet}.{name} in {receipt.triggered_events}")


def main() -> None:
    # A chain that stands still must not hold up the tests for ever.
    signal.alarm(300)
    env = os.environ
    chain = SubstrateInterface(env["ASSAY_URL"], ss58_format=SS58_PREFIX)
    check(chain.token_symbol == "OPG" and chain.token_decimals == 18, "the token is another one")
    eve, bob = Key("Eve"), Key("Bob")

    # Stake, by an immortal transaction, then by a mortal one.
    receipt = submit(chain, eve, "Workers", "bond", {"amount": 200 * OPG}, None)
    check(receipt.is_success, "Workers.bond failed", receipt.error_message)
    bonded = event(receipt, "Workers", "Bonded")
    check(bonded == {"worker": eve.ss58_address, "amount": 200 * OPG}, "the event says something else", bonded)
    receipt = submit(chain, eve, "Workers", "bond_extra", {"amount": 5 * OPG}, {"period": 32})
    check(receipt.is_success, "Workers.bond_extra failed", receipt.error_message)
    worker = chain.query("Workers", "Workers", [eve.ss58_address]).value
    check(worker["bonded"] == 205 * OPG, "the chain has another stake", worker)

    # An error by its name, with what to do about it.
    receipt = submit(chain, eve, "Workers", "bond", {"amount": 200 * OPG}, {"period": 32})
    error = receipt.error_message
    check(not receipt.is_success and error["name"] == "AlreadyBonded", "bonding twice fails by another name", error)
    check("`bond_extra`" in " ".join(error["docs"]), "the error does not say what to do", error)

    # A request, and its answer.
    request = {
        "model": env["ASSAY_MODEL"],
        "input": {"Inline": env["ASSAY_INPUT"]},
        "max_fee": int(env["ASSAY_MAX_FEE"]),
        "coverage": 0,
        "max_output": int(env["ASSAY_MAX_OUTPUT"]),
        "deadline": 20,
        "window": None,
        "worker": None,
    }
    receipt = submit(chain, bob, "Inference", "request", request, {"period": 64})
    check(receipt.is_success, "Inference.request failed", receipt.error_message)
    job = event(receipt, "Inference", "Requested")["job"]

    limit = chain.get_block_number(receipt.block_hash) + PATIENCE

    def answered(block):
        check(block["header"]["number"] <= limit, "there is no answer", f"job {job}")
        return chain.query("Inference", "Results", [job]).value

    result = chain.subscribe_block_headers(answered)
    check(result["requester"] == bob.ss58_address, "the answer is for somebody else", result)
    output = bytes.fromhex(result["output"]["Inline"].removeprefix("0x"))
    scores = struct.unpack(f"<{len(output) // 4}f", output)
    chain.close()
    print(json.dumps({"job": job, "class": scores.index(max(scores)), "bonded": worker["bonded"]}))


if __name__ == "__main__":
    main()
