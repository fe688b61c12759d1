//! Service keys, services, pauses.

use super::*;
use crate::{Served, Servers, Services};

#[test]
fn service_key_should_be_unique_and_rotate() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).with_worker(EVE, 1_000, 1).build_and_execute(|| {
		assert_noop!(Workers::set_service_key(signed(EVE), key(CHARLIE as u8)), Error::<Test>::ServiceKeyTaken);

		assert_ok!(Workers::set_service_key(signed(CHARLIE), key(77)));
		assert_eq!(last_event(), Event::ServiceKeySet { worker: CHARLIE, key: key(77) });
		assert_eq!(Workers::service_key(&CHARLIE), Some(key(77)));
		assert_eq!(Workers::worker_of(&key(77)), Some(CHARLIE));
		assert_eq!(Workers::worker_of(&key(CHARLIE as u8)), None);

		// The former key is free, and the same key can be set again.
		assert_ok!(Workers::set_service_key(signed(EVE), key(CHARLIE as u8)));
		assert_ok!(Workers::set_service_key(signed(CHARLIE), key(77)));
		assert_eq!(ServiceKeys::<Test>::iter().count(), 2);
	});
}

#[test]
fn service_should_be_listed_on_both_sides_when_set() {
	ExtBuilder::default().build_and_execute(|| {
		assert_ok!(Workers::bond(signed(CHARLIE), 1_000));
		assert_eq!(Observed::get().get(&CHARLIE), None);
		assert_ok!(Workers::serve_model(signed(CHARLIE), model(1), terms()));
		assert_eq!(last_event(), Event::ServiceSet { worker: CHARLIE, model: model(1), terms: terms() });
		// Without a key it cannot answer, so it does not work.
		assert_eq!(Observed::get().get(&CHARLIE), None);
		assert_ok!(Workers::set_service_key(signed(CHARLIE), key(1)));
		assert_eq!(Observed::get()[&CHARLIE], 1_000);
		assert_eq!((Workers::server_count(&model(1)), Served::<Test>::get(CHARLIE).len()), (1, 1));

		assert_ok!(Workers::stop_serving(signed(CHARLIE), model(1)));
		assert_eq!(last_event(), Event::ServiceStopped { worker: CHARLIE, model: model(1) });
		assert_eq!(Observed::get()[&CHARLIE], 0);
		assert!(!Servers::<Test>::contains_key(model(1)) && !Served::<Test>::contains_key(CHARLIE));
		assert_noop!(Workers::stop_serving(signed(CHARLIE), model(1)), Error::<Test>::NotServing);
	});
}

#[test]
fn terms_should_change_and_keep_jobs_in_flight() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).build_and_execute(|| {
		assert_ok!(Workers::assign(&CHARLIE, &model(1), 1));
		assert_ok!(Workers::assign(&CHARLIE, &model(1), 1));
		let less = Terms { capacity: 1, min_price: u128::MAX, ..terms() };
		assert_ok!(Workers::serve_model(signed(CHARLIE), model(1), less.clone()));
		assert_eq!(Services::<Test>::get(model(1), CHARLIE), Some(Service { terms: less, in_flight: 2 }));
		assert_eq!(Workers::server_count(&model(1)), 1);
		assert_noop!(Workers::assign(&CHARLIE, &model(1), 1), Error::<Test>::CapacityFull);
	});
}

#[test]
fn service_should_be_refused_when_it_could_not_work() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 0).build_and_execute(|| {
		let idle = Terms { capacity: 0, ..terms() };
		assert_noop!(Workers::serve_model(signed(CHARLIE), model(1), idle), Error::<Test>::CapacityZero);
		Inactive::set(vec![model(1)]);
		assert_noop!(Workers::serve_model(signed(CHARLIE), model(1), terms()), Error::<Test>::ModelNotActive);
	});
}

#[test]
fn idle_worker_with_the_least_stake_should_make_room() {
	let builder = (1..=4).fold(ExtBuilder::default(), |builder, who| builder.with_worker(who, 1_000, 1));
	builder.with_worker(5, 400, 0).with_worker(6, 1_001, 0).build_and_execute(|| {
		assert_noop!(Workers::serve_model(signed(5), model(1), terms()), Error::<Test>::TooManyServers);
		// Whoever is paused has nothing behind its service.
		assert_ok!(Workers::pause(signed(3)));
		assert_ok!(Workers::serve_model(signed(5), model(1), terms()));
		assert_eq!(Servers::<Test>::get(model(1)).into_inner(), vec![1, 2, 4, 5]);
		// The one with the least is at work, and so is another.
		for busy in [5, 1] {
			assert_ok!(Workers::assign(&busy, &model(1), 10));
		}
		assert_ok!(Workers::serve_model(signed(6), model(1), terms()));
		assert_eq!(Servers::<Test>::get(model(1)).into_inner(), vec![1, 4, 5, 6]);
		assert_eq!((Workers::active_stake(&2), Workers::active_stake(&6)), (0, 1_001));
		check();
		for busy in [5, 1] {
			Workers::answered(&busy, &model(1));
			Workers::release(&busy, 10);
		}
	});
}

#[test]
fn service_should_be_refused_when_lists_are_full() {
	ExtBuilder::default().build_and_execute(|| {
		for who in 1..=5 {
			assert_ok!(Workers::bond(signed(who), MIN_BOND));
		}
		for who in 1..=4 {
			assert_ok!(Workers::serve_model(signed(who), model(1), terms()));
		}
		assert_noop!(Workers::serve_model(signed(5), model(1), terms()), Error::<Test>::TooManyServers);
		for seed in 2..=4 {
			assert_ok!(Workers::serve_model(signed(5), model(seed), terms()));
		}
		assert_noop!(Workers::serve_model(signed(5), model(5), terms()), Error::<Test>::TooManyServed);
		assert_ok!(Workers::stop_serving(signed(1), model(1)));
		assert_ok!(Workers::stop_serving(signed(5), model(2)));
		assert_ok!(Workers::serve_model(signed(5), model(1), terms()));
	});
}

#[test]
fn service_should_go_on_when_jobs_are_in_flight() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).build_and_execute(|| {
		assert_ok!(Workers::assign(&CHARLIE, &model(1), 5));
		assert_noop!(Workers::stop_serving(signed(CHARLIE), model(1)), Error::<Test>::ServiceBusy);
		Workers::answered(&CHARLIE, &model(1));
		assert_ok!(Workers::stop_serving(signed(CHARLIE), model(1)));
		Workers::release(&CHARLIE, 5);
	});
}

#[test]
fn worker_should_take_no_jobs_when_paused() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 1).build_and_execute(|| {
		assert_noop!(Workers::resume(signed(CHARLIE)), Error::<Test>::WorkerNotPaused);
		assert_ok!(Workers::assign(&CHARLIE, &model(1), 5));
		assert_ok!(Workers::pause(signed(CHARLIE)));
		assert_eq!(last_event(), Event::Paused { worker: CHARLIE });
		assert_eq!(Observed::get()[&CHARLIE], 0);
		assert_noop!(Workers::pause(signed(CHARLIE)), Error::<Test>::WorkerPaused);
		assert_noop!(Workers::assign(&CHARLIE, &model(1), 5), Error::<Test>::WorkerPaused);
		Workers::answered(&CHARLIE, &model(1));
		Workers::release(&CHARLIE, 5);

		assert_ok!(Workers::resume(signed(CHARLIE)));
		assert_eq!(last_event(), Event::Resumed { worker: CHARLIE });
		assert_eq!(Observed::get()[&CHARLIE], 1_000);
	});
}

#[test]
fn status_should_show_everything_of_a_worker() {
	ExtBuilder::default().with_worker(CHARLIE, 1_000, 2).build_and_execute(|| {
		assert_ok!(Workers::assign(&CHARLIE, &model(2), 250));
		assert_ok!(Workers::unbond(signed(CHARLIE), 100));
		assert_ok!(Workers::set_commission(signed(CHARLIE), Perbill::from_percent(10)));
		assert_ok!(Workers::delegate(signed(GINA), CHARLIE, 200));
		assert_ok!(Workers::set_commission(signed(CHARLIE), Perbill::from_percent(20)));
		Workers::suspend(&CHARLIE);
		assert_eq!(
			Workers::worker_status(CHARLIE),
			Some(WorkerStatus {
				bonded: 900 + 200,
				own: 900,
				delegated: 200,
				delegators: 1,
				commission: Some(Perbill::from_percent(10)),
				next_commission: Some((Perbill::from_percent(20), 1 + UNBONDING_DELAY)),
				free: 650,
				covered: 250,
				open_claims: 1,
				max_claims: u32::MAX,
				unbonding: vec![Unbonding { amount: 100, withdrawable_at: 1 + UNBONDING_DELAY }],
				paused: true,
				suspended_until: Some(1 + SUSPENSION),
				service_key: Some(key(1)),
				services: vec![(model(1), terms(), 0), (model(2), terms(), 1)],
			})
		);
	});
}
