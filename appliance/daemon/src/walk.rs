//! The walk over every route of the appliance, as it is merged for service, with too little authority.

use belfry_http::walk::{Pass, unauthorised};
use belfry_model::{Pii, Role};
use belfry_session::{Config, Sessions, now};
use belfry_signalling::{IceServer, IceServers};
use tokio::sync::mpsc;

use crate::certificates::Shown;
use crate::{open, serve, ways_in};

#[tokio::test(flavor = "multi_thread")]
async fn no_route_of_the_appliance_lets_in_whom_it_is_not_for() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().to_string_lossy().into_owned();
    let kept =
        open::open(None, true, |key| (key == "data.dir").then(|| data.clone()), open::within).await;
    let kept = kept.unwrap();
    let (commands, _media) = mpsc::channel(8);
    let urls = vec!["stun:127.0.0.1:8443".to_owned()];
    let stun = IceServer { urls, username: String::new(), credential: String::new() };
    let sessions = Sessions::new(Config::new(
        kept.store.clone(),
        kept.ledger.clone(),
        serve::signer(&kept),
        IceServers::new(vec![stun]),
        commands,
    ));
    let (_links, reports) = mpsc::channel(8);
    let ops = serve::ops(&kept, reports).unwrap();
    let router = serve::router(&kept, &sessions, &ops, &Shown::open(&kept).unwrap());
    let people = belfry_identity::demo_sign_ins(&kept.keys);
    let mut passes = Vec::new();
    for role in Role::ALL {
        let person = people.iter().find(|person| person.role == role).unwrap();
        let peer = Pii::new([127, 0, 0, 1].into());
        // So long ago that the password no longer counts as just typed.
        let then = now().plus_ms(-11 * 60_000);
        let issued = kept.identity.sign_in(person.username, &person.password, peer, then).await;
        let issued = issued.unwrap();
        let token = issued.token.expose().to_owned();
        passes.push(Pass { role, token, csrf: issued.who.csrf });
    }
    let table = ways_in::routes();
    let of = |start: &str| table.iter().filter(|route| route.path.starts_with(start)).count();
    for start in ["/admin", "/app/api", "/class", "/guest", "/rtc", "/sign-in"] {
        assert!(of(start) > 0, "{start} is not in the table");
    }
    assert_eq!(unauthorised(&router, &table, &passes).await, Vec::<String>::new());
}
