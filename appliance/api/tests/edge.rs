//! The signalling edge over real sockets, with a real lesson behind it.
#![allow(clippy::unwrap_used, reason = "a test's set-up either works or the test fails")]

use std::sync::Arc;
use std::time::Duration;

use belfry_api::{Signalling, signalling_routes};
use belfry_classroom::{Arrival, Standing};
use belfry_http::{Gate, Resolving};
use belfry_ledger::Ledger;
use belfry_model::{Identity, LessonId, LessonRole, Outside, Pii, Role, Timestamp};
use belfry_session::{ClassSocket, Config, Sessions, now};
use belfry_signalling::proto::signal_request::Message as Asked;
use belfry_signalling::proto::signal_response::Message as Told;
use belfry_signalling::{Grants, IceServer, IceServers, Signer, client, token};
use belfry_store::{Band, NewLesson, NewPerson, Store};
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Far above what a loopback answer takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

type Web = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Token routes take no cookie; whoever asks for a session here is wrong.
struct NoSessions;

impl belfry_http::Sessions for NoSessions {
    fn resolve<'a>(&'a self, _: &'a str, _: Timestamp) -> Resolving<'a> {
        Box::pin(async { Ok(None) })
    }
}

struct House {
    address: String,
    lesson: LessonId,
    signer: Signer,
    /// Keeps the teacher in the lesson.
    _teacher: ClassSocket,
    _commands: mpsc::Receiver<belfry_media_api::Command>,
    _dir: tempfile::TempDir,
}

async fn house() -> House {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(&dir.path().join("belfry.db")).unwrap();
    let ledger = Ledger::open(&dir.path().join("audit.db")).unwrap();
    let at = now();
    let district = store.create_district("District".to_owned(), at).await.unwrap();
    let school = store.create_school(district, "School".to_owned(), at).await.unwrap();
    let person = NewPerson {
        school,
        username: Pii::new("teacher".to_owned()),
        name: Pii::new("Teacher".to_owned()),
        role: Role::Teacher,
        password_hash: String::new(),
        must_change: false,
        disabled: false,
    };
    let started_by = store.create_person(person, at).await.unwrap();
    let new = NewLesson {
        school,
        class: None,
        name: "Geometry".to_owned(),
        band: Band::Grades6To12,
        started_by,
        guest_code: Pii::new("code".to_owned()),
    };
    let (lesson, _) = store.start_lesson(new, at).await.unwrap();
    let signer = Signer::new("belfry", b"a secret of the test");
    let (commands, received) = mpsc::channel(1024);
    let ice = IceServers::new(vec![IceServer {
        urls: vec!["stun:127.0.0.1:3478".to_owned()],
        username: String::new(),
        credential: String::new(),
    }]);
    let sessions = Sessions::new(Config::new(store, ledger.clone(), signer.clone(), ice, commands));
    let arrival = Arrival {
        identity: Identity::new(format!("p{started_by}")),
        name: Pii::new("Teacher".to_owned()),
        standing: Standing::Teacher,
    };
    let teacher = sessions.open_class(lesson.id, arrival, None).await.unwrap();
    let gate = Gate::new(Arc::new(NoSessions), ledger, district);
    let edge = Signalling { sessions, signer: signer.clone() };
    let router = gate.close(signalling_routes().into_router(&gate, edge));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    House { address, lesson: lesson.id, signer, _teacher: teacher, _commands: received, _dir: dir }
}

impl House {
    fn token(&self, identity: &str, lesson: LessonId) -> String {
        let room = lesson.to_string();
        let grants = Grants::new(identity.into(), "Teacher", &room, LessonRole::Teacher);
        token::mint(&self.signer, &grants, now())
    }

    fn teacher(&self) -> String {
        self.token("p1", self.lesson)
    }

    async fn connect(&self, path: &str, token: &str) -> Result<Web, Error> {
        let url = format!("ws://{}{path}?access_token={token}&protocol=17", self.address);
        connect_async(url).await.map(|(web, _)| web)
    }

    /// A plain request: its status line, headers and body.
    async fn get(&self, target: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).await.unwrap();
        let request = format!("GET {target} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }
}

fn status(refused: Result<Web, Error>) -> (u16, String) {
    let Err(Error::Http(response)) = refused else { panic!("upgraded") };
    let body = response.body().clone().unwrap_or_default();
    (response.status().as_u16(), String::from_utf8(body).unwrap())
}

async fn told(web: &mut Web) -> Told {
    loop {
        let message = tokio::time::timeout(PATIENCE, web.next()).await.unwrap().unwrap().unwrap();
        if let Message::Binary(bytes) = message {
            let response = client::RESPONSES.parse(Outside::new(&bytes)).unwrap();
            return response.message.unwrap();
        }
    }
}

#[tokio::test]
async fn an_admitted_teacher_is_welcomed_first_and_pinged_back() {
    let house = house().await;
    for path in ["/rtc", "//rtc", "/sfu/rtc", "/sfu//rtc", "/district/media/rtc"] {
        let mut web = house.connect(path, &house.teacher()).await.unwrap();
        let Told::Join(join) = told(&mut web).await else { panic!("the first message") };
        assert_eq!(join.participant.unwrap().identity, "p1");
        web.send(Message::Binary(client::request(Asked::Ping(1)).into())).await.unwrap();
        assert!(matches!(told(&mut web).await, Told::Pong(_)));
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_closed_normally() {
    let house = house().await;
    let mut web = house.connect("/rtc", &house.teacher()).await.unwrap();
    told(&mut web).await;
    let leave = client::request(Asked::Leave(belfry_signalling::proto::LeaveRequest::default()));
    web.send(Message::Binary(leave.into())).await.unwrap();
    loop {
        let message = tokio::time::timeout(PATIENCE, web.next()).await.unwrap();
        if let Message::Close(frame) = message.unwrap().unwrap() {
            assert_eq!(u16::from(frame.unwrap().code), 1000);
            break;
        }
    }
}

#[tokio::test]
async fn refusals_come_before_the_upgrade_with_the_status_that_clients_read() {
    let house = house().await;
    let foreign = Signer::new("belfry", b"another");
    let room = house.lesson.to_string();
    let grants = Grants::new("p1".into(), "", &room, LessonRole::Teacher);
    let forged = token::mint(&foreign, &grants, now());
    assert_eq!(status(house.connect("/rtc", &forged).await).0, 401);
    let elsewhere = house.token("p1", LessonId(999));
    let (code, body) = status(house.connect("/rtc", &elsewhere).await);
    assert_eq!(code, 404);
    assert!(body.contains("requested room does not exist"));
    let waiting = house.token("p77", house.lesson);
    assert_eq!(status(house.connect("/rtc", &waiting).await).0, 403);
    assert_eq!(status(house.connect("/rtc/v1", &house.teacher()).await).0, 404);
}

#[tokio::test]
async fn validate_says_what_the_upgrade_would_and_any_page_may_read_it() {
    let house = house().await;
    let validate = |token: String| format!("/rtc/validate?access_token={token}");
    let cases = [
        (validate(house.teacher()), "200"),
        (validate("a.b.c".to_owned()), "401"),
        (validate(house.token("p1", LessonId(999))), "404"),
        (validate(house.token("p77", house.lesson)), "403"),
        (format!("/sfu{}", validate(house.teacher())), "200"),
    ];
    for (target, expect) in cases {
        let answer = house.get(&target).await.to_ascii_lowercase();
        assert_eq!(answer.split(' ').nth(1), Some(expect), "{answer}");
        if expect != "200" {
            let token = target.split_once('=').unwrap().1;
            let (code, sentence) = status(house.connect("/rtc", token).await);
            assert_eq!(code.to_string(), expect);
            assert!(answer.ends_with(&sentence.to_ascii_lowercase()), "{answer}");
        }
        assert!(answer.contains("access-control-allow-origin: *"), "{answer}");
    }
    let v1 = house.get(&format!("/rtc/v1/validate?access_token={}", house.teacher())).await;
    assert_eq!(v1.split(' ').nth(1), Some("404"));
    assert!(!v1.contains("requested room does not exist"), "clients go on to v0");
    let plain = house.get(&format!("/rtc?access_token={}", house.teacher())).await;
    assert_eq!(plain.split(' ').nth(1), Some("404"), "a request that is no upgrade");
}

#[tokio::test]
async fn text_and_oversized_frames_end_their_own_socket_only() {
    let house = house().await;
    let mut web = house.connect("/rtc", &house.teacher()).await.unwrap();
    told(&mut web).await;
    web.send(Message::Text("{}".into())).await.unwrap();
    let end = tokio::time::timeout(PATIENCE, async {
        loop {
            match web.next().await {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return None,
            }
        }
    });
    assert_eq!(end.await.unwrap(), Some(1003_u16));
    let mut web = house.connect("/rtc", &house.teacher()).await.unwrap();
    told(&mut web).await;
    let big = vec![0; belfry_model::limits::SIGNAL_FRAME_BYTES_MAX + 1];
    let _ = web.send(Message::Binary(big.into())).await;
    let ended = tokio::time::timeout(PATIENCE, async {
        while let Some(Ok(message)) = web.next().await {
            if message.is_close() {
                break;
            }
        }
    });
    ended.await.unwrap();
    let mut web = house.connect("/rtc", &house.teacher()).await.unwrap();
    assert!(matches!(told(&mut web).await, Told::Join(_)));
}
