use std::net::SocketAddr;

use belfry_media_api::{MediaKind, Preference};
use belfry_model::Outside;
use belfry_model::outside::Target;
use proptest::prelude::*;

use super::answer::Answer;
use super::remote::Remote;
use super::section::SectionKind;
use super::{
    ATTRIBUTES_MAX, CodecKind, DESCRIPTION, Extension, LINE_BYTES_MAX, Local, Origin, Outgoing,
    PayloadType, SECTIONS_MAX, SdpError, Setup, Subscriber, answer,
};

const CHROMIUM: &str = include_str!("fixtures/chromium-publisher-simulcast.sdp");
const CHROMIUM_PAUSED: &str = include_str!("fixtures/chromium-publisher-layers-paused.sdp");
const CHROMIUM_INACTIVE: &str = include_str!("fixtures/chromium-publisher-inactive.sdp");
const CHROMIUM_ANSWER: &str = include_str!("fixtures/chromium-subscriber-tracks.sdp");
const FIREFOX: &str = include_str!("fixtures/firefox-publisher-simulcast.sdp");
const FIREFOX_ANSWER: &str = include_str!("fixtures/firefox-subscriber-tracks.sdp");
const NATIVE: &str = include_str!("fixtures/libwebrtc-publisher.sdp");

const ORIGIN: Origin = Origin { session_id: 7, version: 2 };

fn parse(text: &str) -> Remote {
    DESCRIPTION.parse(Outside::new(text.as_bytes())).expect("the fixture is a description")
}

fn refusal(text: &str) -> SdpError {
    match DESCRIPTION.parse(Outside::new(text.as_bytes())) {
        Err(belfry_model::outside::Refusal::Malformed { source, .. }) => source,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

fn with_local<T>(act: impl FnOnce(&Local<'_>) -> T) -> T {
    let candidates: [SocketAddr; 2] = [
        "192.0.2.1:3478".parse().expect("an address"),
        "[2001:db8::1]:3478".parse().expect("an address"),
    ];
    act(&Local {
        ufrag: "belf",
        pwd: "abcdefghijklmnopqrstuvwxyz",
        fingerprint: &[0xAB; 32],
        candidates: &candidates,
        tcp_candidates: &[],
    })
}

fn answer_to(text: &str) -> Answer {
    with_local(|local| answer(&parse(text), &[], local, ORIGIN)).expect("the offer is answered")
}

fn outgoing(n: u32, kind: MediaKind, codecs: &[CodecKind]) -> Outgoing {
    Outgoing {
        track: format!("TR_{n}").into(),
        publisher: "PA_teacher".into(),
        stream: "camera".to_owned(),
        kind,
        codecs: codecs.to_vec(),
        ssrc: 1000 + n,
        rtx_ssrc: (kind == MediaKind::Video).then_some(2000 + n),
    }
}

/// The five tracks to which the fixtures of answers belong.
fn five_tracks() -> Subscriber {
    let mut subscriber = Subscriber::new(9);
    let tracks = [
        outgoing(1, MediaKind::Audio, &[CodecKind::Opus, CodecKind::Red]),
        outgoing(2, MediaKind::Video, &[CodecKind::Vp8]),
        outgoing(3, MediaKind::Video, &[CodecKind::H264]),
        outgoing(4, MediaKind::Video, &[CodecKind::Vp9]),
        outgoing(5, MediaKind::Video, &[CodecKind::Av1]),
    ];
    for track in tracks {
        subscriber.add(track).expect("there is room");
    }
    subscriber
}

/// Our own offer turned into the answer of a client that accepts all of it.
fn accepting(offer: &str) -> Remote {
    parse(
        &offer
            .replace("a=setup:actpass", "a=setup:active")
            .replace("a=sendonly", "a=recvonly")
            .replace("a=ice-lite\r\n", ""),
    )
}

fn section_lines<'a>(text: &'a str, mid: &str) -> Vec<&'a str> {
    text.split("\r\nm=")
        .find(|section| section.contains(&format!("a=mid:{mid}\r\n")))
        .expect("the section is there")
        .lines()
        .collect()
}

#[test]
fn chromium_is_answered() {
    insta::assert_snapshot!(answer_to(CHROMIUM).text.replace('\r', ""));
}

#[test]
fn firefox_is_answered() {
    insta::assert_snapshot!(answer_to(FIREFOX).text.replace('\r', ""));
}

#[test]
fn a_native_sdk_is_answered_and_what_is_not_served_is_rejected_alone() {
    insta::assert_snapshot!(answer_to(NATIVE).text.replace('\r', ""));
}

#[test]
fn an_offer_for_all_codecs_is_written() {
    let offer = with_local(|local| five_tracks().offer(local));
    assert_eq!(offer.mids.len(), 5);
    insta::assert_snapshot!(offer.text.replace('\r', ""));
}

#[test]
fn the_sections_on_which_a_client_sends_are_announced_with_its_names() {
    let sections = answer_to(CHROMIUM).sections;
    assert_eq!(sections.len(), 2);
    assert_eq!((sections[0].kind, sections[0].mime.as_str()), (MediaKind::Audio, "audio/opus"));
    assert_eq!(sections[1].mime, "video/VP8");
    assert_eq!(sections[1].rids, ["q", "h", "f"]);
    assert_eq!(
        sections[1].track_label.as_deref(),
        Some("fc738953-aad3-4115-a0a1-064babc9c14c"),
        "the second token of the msid"
    );
    let inactive = answer_to(CHROMIUM_INACTIVE);
    assert_eq!(inactive.sections.len(), 1, "a section that does not send is not announced");
    assert_eq!(inactive.received.len(), 2, "but stays negotiated");
    assert!(section_lines(&inactive.text, "2").contains(&"a=inactive"));
}

#[test]
fn what_a_track_is_to_be_sent_in_is_named_first() {
    let offer = parse(CHROMIUM);
    let label =
        |at: usize| offer.sections[at].track_label.clone().expect("Chromium names its tracks");
    let preferences = |sound: &str, picture: &str| {
        [(label(1), sound), (label(2), picture)]
            .map(|(track_label, mime)| Preference { track_label, mime: mime.to_owned() })
    };
    let answered = |preferences: &[Preference]| {
        with_local(|local| answer(&offer, preferences, local, ORIGIN)).expect("it is answered")
    };
    let plain = answer_to(CHROMIUM);
    for (name, kind) in [
        ("video/vp9", CodecKind::Vp9),
        ("video/AV1", CodecKind::Av1),
        ("video/h264", CodecKind::H264),
    ] {
        let answer = answered(&preferences("audio/red", name));
        let [sound, picture] = &answer.received[..] else { panic!("two sections are received") };
        assert_eq!(sound.codecs[0].kind, CodecKind::Red);
        assert_eq!(sound.codecs[1].kind, CodecKind::Opus);
        assert_eq!(picture.codecs[0].kind, kind);
        assert_eq!(answer.sections[1].mime, kind.mime());
        let listed =
            format!("{} {}", picture.codecs[0].pt, picture.codecs[0].rtx_pt.expect("has one"));
        assert!(
            answer.text.contains(&format!("m=video 9 UDP/TLS/RTP/SAVPF {listed} ")),
            "{}",
            answer.text
        );
        assert!(answer.text.contains("m=audio 9 UDP/TLS/RTP/SAVPF 63 111\r\n"), "{}", answer.text);
        assert!(answer.text.contains("a=fmtp:63 111/111\r\n"));
        // Layers that the payload does not tell are read from the descriptor.
        let described = picture.extensions.id(Extension::DependencyDescriptor).is_some();
        assert_eq!(described, kind != CodecKind::Vp9);
        // Nothing but the order has changed.
        let sorted = |codecs: &[super::NegotiatedCodec]| {
            let mut pts: Vec<_> = codecs.iter().map(|codec| codec.pt).collect();
            pts.sort_unstable();
            pts
        };
        assert_eq!(sorted(&picture.codecs), sorted(&plain.received[1].codecs));
    }
    // What was not offered changes nothing.
    assert_eq!(answered(&preferences("audio/opus", "video/mpeg2")).text, plain.text);
    assert_eq!(answered(&[]).text, plain.text);
}

#[test]
fn paused_layers_stay_layers() {
    let received = answer_to(CHROMIUM_PAUSED).received;
    let rids: Vec<_> = received[1].rids.iter().map(|rid| (rid.name.as_str(), rid.paused)).collect();
    assert_eq!(rids, [("q", false), ("h", true), ("f", true)]);
}

#[test]
fn port_zero_with_bundle_only_is_no_rejection() {
    let offer = parse(FIREFOX);
    assert!(FIREFOX.contains("m=video 0 "), "the fixture is of a later offer");
    assert!(offer.sections.iter().all(|section| !section.stopped));
    let stopped = FIREFOX.replace("a=bundle-only\r\n", "");
    assert!(parse(&stopped).sections[1].stopped);
    let answer = answer_to(&stopped);
    assert!(answer.data && answer.received.is_empty());
    assert!(answer.text.contains("a=group:BUNDLE 0\r\n"));
}

#[test]
fn an_extension_with_a_direction_is_answered_with_the_opposite_one() {
    let answer = answer_to(FIREFOX);
    let rid = answer.received[1].extensions.id(Extension::Rid);
    assert_eq!(rid, Some(9));
    assert_eq!(answer.received[1].extensions.get(9), Some(Extension::Rid));
    let lines = section_lines(&answer.text, "2");
    assert!(lines.contains(&"a=extmap:9/recvonly urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"));
}

#[test]
fn retransmissions_of_each_layer_are_paired_by_fid() {
    let ssrcs = &answer_to(FIREFOX).received[1].ssrcs;
    assert_eq!(ssrcs.len(), 3);
    assert!(ssrcs.iter().all(|pair| pair.rtx_ssrc.is_some()));
}

#[test]
fn payload_types_are_found_by_number() {
    let received = &answer_to(CHROMIUM).received[1];
    assert_eq!(received.payload_types.get(96), Some(PayloadType::Media(CodecKind::Vp8)));
    assert_eq!(
        received.payload_types.get(97),
        Some(PayloadType::Rtx { apt: 96, kind: CodecKind::Vp8 })
    );
    assert_eq!(received.payload_types.get(104), None, "single NAL unit mode is not accepted");
    assert_eq!(received.payload_types.get(255), None);
}

#[test]
fn a_payload_type_has_the_same_parameters_in_all_sections() {
    let second = NATIVE
        .split("\r\nm=")
        .nth(2)
        .expect("the audio section")
        .replace("a=mid:1", "a=mid:4")
        .replace(";sprop-stereo=1", "");
    let offer = NATIVE.replace("BUNDLE 0 1 2 3", "BUNDLE 0 1 2 3 4") + "m=" + &second + "\r\n";
    let answer = answer_to(&offer);
    let opus: Vec<_> = answer.text.lines().filter(|line| line.starts_with("a=fmtp:111")).collect();
    let expected = "a=fmtp:111 minptime=10;useinbandfec=1;stereo=1;maxaveragebitrate=510000";
    assert_eq!(opus, [expected, expected]);
}

#[test]
fn a_payload_type_that_changes_its_meaning_is_left_out_of_the_later_section() {
    let second = CHROMIUM
        .split("\r\nm=")
        .nth(3)
        .expect("the video section")
        .replace("a=mid:2", "a=mid:3")
        .replace("a=rtpmap:96 VP8", "a=rtpmap:96 VP9");
    let offer = CHROMIUM.replace("BUNDLE 0 1 2", "BUNDLE 0 1 2 3") + "m=" + &second;
    let received = answer_to(&offer).received;
    assert_eq!(received[2].payload_types.get(96), None);
    assert!(received[2].codecs.iter().any(|codec| codec.kind == CodecKind::Av1));
}

#[test]
fn a_section_outside_the_bundle_is_rejected() {
    let answer = answer_to(&CHROMIUM.replace("BUNDLE 0 1 2", "BUNDLE 0 2"));
    assert_eq!(answer.sections.len(), 1);
    assert!(answer.text.contains("m=audio 0 "));
}

#[test]
fn without_the_rid_extension_simulcast_is_not_accepted() {
    let offer = CHROMIUM.replace("sdes:rtp-stream-id", "sdes:something-else");
    let answer = answer_to(&offer);
    assert!(answer.received[1].rids.is_empty());
    assert!(!answer.text.contains("a=simulcast"));
}

#[test]
fn a_client_that_would_be_the_dtls_server_is_refused() {
    let offer = parse(&CHROMIUM.replace("a=setup:actpass", "a=setup:passive"));
    let refused = with_local(|local| answer(&offer, &[], local, ORIGIN)).err();
    assert_eq!(refused, Some(SdpError::Setup));
}

#[test]
fn what_is_missing_is_named() {
    assert_eq!(refusal("v=0\r\n"), SdpError::Grammar);
    assert_eq!(refusal(&CHROMIUM.replace("a=ice-pwd", "a=no-pwd")), SdpError::Ice);
    assert_eq!(refusal(&CHROMIUM.replace("sha-256", "sha-1")), SdpError::Fingerprint);
    assert_eq!(refusal(&CHROMIUM.replace("a=setup", "a=no-setup")), SdpError::Setup);
    assert_eq!(refusal(&CHROMIUM.replace("a=mid:2", "a=mid:1")), SdpError::Mid);
    assert_eq!(refusal(&CHROMIUM.replace("a=mid:2", "a=mid:2\ra=x")), SdpError::Mid);
}

#[test]
fn limits_are_kept() {
    let section = |n: usize| {
        format!("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:m{n}\r\na=rtpmap:111 opus/48000/2\r\n")
    };
    let many: String = (0..SECTIONS_MAX).map(section).collect();
    assert!(matches!(refusal(&(CHROMIUM.to_owned() + &many)), SdpError::TooMany { .. }));
    let line = format!("a=x:{}\r\n", "x".repeat(LINE_BYTES_MAX));
    assert!(matches!(refusal(&(CHROMIUM.to_owned() + &line)), SdpError::TooMany { .. }));
    let lines = "a=x:y\r\n".repeat(ATTRIBUTES_MAX + 1);
    assert!(matches!(refusal(&(CHROMIUM.to_owned() + &lines)), SdpError::TooMany { .. }));
    assert!(DESCRIPTION.feed(DESCRIPTION.seed()));
}

#[test]
fn chromium_takes_all_tracks() {
    let mut subscriber = five_tracks();
    with_local(|local| subscriber.offer(local));
    let answered = subscriber.answered(1, &parse(CHROMIUM_ANSWER)).expect("the answer fits");
    assert_eq!(answered.data_message_size_max, Some(64_000));
    assert_eq!(answered.tracks.len(), 5);
    let (_, vp8) = &answered.tracks[1];
    let vp8 = vp8.as_ref().expect("VP8 is accepted");
    assert_eq!(vp8.codec(CodecKind::Vp8).map(|c| (c.pt, c.rtx_pt)), Some((96, Some(97))));
    assert_eq!(vp8.extensions.id(Extension::TransportCc), Some(3));
    assert!(!subscriber.wants_offer());
}

#[test]
fn a_client_without_a_codec_loses_that_track_alone() {
    let mut subscriber = five_tracks();
    with_local(|local| subscriber.offer(local));
    let answered = subscriber.answered(0, &parse(FIREFOX_ANSWER)).expect("the answer fits");
    let refused: Vec<_> = answered
        .tracks
        .iter()
        .filter(|(_, sending)| sending.is_none())
        .map(|(track, _)| track.as_str())
        .collect();
    assert_eq!(refused, ["TR_3"]);
    assert!(!subscriber.contains(&"TR_3".into()));
}

#[test]
fn a_rejected_section_is_offered_as_such_once_before_its_place_is_taken() {
    let mut subscriber = five_tracks();
    with_local(|local| subscriber.offer(local));
    subscriber.answered(1, &parse(FIREFOX_ANSWER)).expect("the answer fits");
    subscriber.add(outgoing(6, MediaKind::Audio, &[CodecKind::Opus])).expect("there is room");
    let second = with_local(|local| subscriber.offer(local));
    assert!(second.text.contains("m=video 0 "));
    assert_eq!(second.mids.last().map(|(mid, _)| mid.as_str()), Some("6"));
    subscriber.answered(2, &accepting(&second.text)).expect("the answer fits");
    subscriber.add(outgoing(7, MediaKind::Audio, &[CodecKind::Opus])).expect("there is room");
    let third = with_local(|local| subscriber.offer(local));
    let mids: Vec<_> = third.mids.iter().map(|(mid, _)| mid.as_str()).collect();
    assert_eq!(mids, ["1", "2", "7", "4", "5", "6"], "in the rejected one's place, renamed");
}

#[test]
fn a_section_is_taken_over_only_after_the_client_saw_it_inactive() {
    let mut subscriber = five_tracks();
    let first = with_local(|local| subscriber.offer(local));
    subscriber.answered(1, &accepting(&first.text)).expect("the answer fits");
    assert!(subscriber.remove(&"TR_2".into()));
    subscriber.add(outgoing(6, MediaKind::Video, &[CodecKind::Vp8])).expect("there is room");
    let second = with_local(|local| subscriber.offer(local));
    assert!(section_lines(&second.text, "2").contains(&"a=inactive"));
    assert!(section_lines(&second.text, "6").contains(&"a=msid:PA_teacher|camera TR_6"));
    subscriber.answered(2, &accepting(&second.text)).expect("the answer fits");
    subscriber.add(outgoing(7, MediaKind::Video, &[CodecKind::H264])).expect("there is room");
    let third = with_local(|local| subscriber.offer(local));
    // The client's receiver is still called TR_2: its application learns the track by the stream.
    assert!(section_lines(&third.text, "2").contains(&"a=msid:PA_teacher|TR_7 TR_7"));
}

#[test]
fn changes_during_an_offer_wait_for_its_answer_and_are_not_lost() {
    let mut subscriber = five_tracks();
    assert!(subscriber.wants_offer());
    let first = with_local(|local| subscriber.offer(local));
    subscriber.remove(&"TR_2".into());
    subscriber.add(outgoing(6, MediaKind::Audio, &[CodecKind::Opus])).expect("there is room");
    assert!(!subscriber.wants_offer(), "one offer at a time");
    let answered = subscriber.answered(1, &accepting(&first.text)).expect("the answer fits");
    assert_eq!(answered.tracks.len(), 4, "the removed track is not reported");
    assert!(subscriber.wants_offer());
}

#[test]
fn an_answer_to_another_offer_is_refused() {
    let mut subscriber = five_tracks();
    let first = with_local(|local| subscriber.offer(local));
    let second = with_local(|local| subscriber.offer(local));
    let answer = accepting(&first.text);
    assert_eq!(subscriber.answered(1, &answer), Err(SdpError::Stale));
    assert_eq!(subscriber.answered(2, &parse(CHROMIUM)), Err(SdpError::Setup));
    assert!(subscriber.answered(2, &accepting(&second.text)).is_ok());
    assert_eq!(subscriber.answered(2, &answer), Err(SdpError::Stale));
}

#[test]
fn an_answer_with_other_sections_is_refused() {
    let mut subscriber = five_tracks();
    let offer = with_local(|local| subscriber.offer(local));
    let other = offer.text.replace("a=mid:3", "a=mid:9");
    assert_eq!(subscriber.answered(1, &accepting(&other)), Err(SdpError::Mismatch));
}

/// Takes a description apart and puts it together wrongly: lines cut, doubled, swapped, mixed.
fn mangled() -> impl Strategy<Value = Vec<u8>> {
    let whole = prop::sample::select(vec![CHROMIUM, CHROMIUM_PAUSED, FIREFOX, NATIVE]);
    let edits = prop::collection::vec((any::<u16>(), any::<u16>(), 0_u8..6, any::<u8>()), 0..24);
    (whole, edits).prop_map(|(whole, edits)| {
        let mut lines: Vec<Vec<u8>> =
            whole.split_inclusive('\n').map(|line| line.as_bytes().to_vec()).collect();
        for (at, other, edit, byte) in edits {
            let (at, other) = (usize::from(at) % lines.len(), usize::from(other) % lines.len());
            match edit {
                0 => lines.swap(at, other),
                1 => {
                    let copy = lines[other].clone();
                    lines.insert(at, copy);
                }
                2 if lines.len() > 1 => drop(lines.remove(at)),
                3 => lines[at].truncate(usize::from(byte)),
                4 => {
                    let to = usize::from(byte) % (lines[at].len() + 1);
                    lines[at].insert(to, byte);
                }
                _ => {
                    let length = lines[at].len();
                    if length > 0 {
                        lines[at][usize::from(byte) % length] = byte;
                    }
                }
            }
        }
        lines.concat()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_parsed_is_answered_in_its_own_shape(bytes in mangled()) {
        let Ok(offer) = DESCRIPTION.parse(Outside::new(&bytes)) else { return Ok(()) };
        let Ok(answer) = with_local(|local| answer(&offer, &[], local, ORIGIN)) else { return Ok(()) };
        let lines: Vec<_> = answer.text.split("\r\n").collect();
        prop_assert!(lines.iter().all(|line| !line.contains(['\r', '\n'])));
        let mids: Vec<_> =
            lines.iter().filter_map(|line| line.strip_prefix("a=mid:")).collect();
        let offered: Vec<_> = offer.sections.iter().map(|section| section.mid.as_str()).collect();
        prop_assert_eq!(mids, offered);
        let live = offer.sections.iter().any(|section| section.kind == SectionKind::Data);
        if live && answer.data {
            let back = parse(&answer.text);
            prop_assert_eq!(back.setup, Setup::Passive);
            prop_assert_eq!(back.sections.len(), offer.sections.len());
        }
    }

    #[test]
    fn an_answer_of_any_shape_leaves_the_list_whole(bytes in mangled(), removed in 1_u32..6) {
        let mut subscriber = five_tracks();
        with_local(|local| subscriber.offer(local));
        let bytes = String::from_utf8_lossy(&bytes).replace("actpass", "active");
        if let Ok(answer) = DESCRIPTION.parse(Outside::new(bytes.as_bytes())) {
            let _ = subscriber.answered(0, &answer);
        }
        subscriber.remove(&format!("TR_{removed}").as_str().into());
        let offer = with_local(|local| subscriber.offer(local));
        prop_assert!(offer.mids.iter().all(|(_, track)| subscriber.contains(track)));
        prop_assert_eq!(offer.text.matches("\r\nm=").count(), 6);
    }
}

#[test]
fn candidates_over_tcp_are_passive_and_come_after_those_over_udp() {
    let tcp = ["192.0.2.1:7881".parse().expect("an address")];
    let answered = with_local(|local| {
        let local = Local { tcp_candidates: &tcp, ..*local };
        answer(&parse(CHROMIUM), &[], &local, ORIGIN).expect("the offer is answered")
    });
    let lines: Vec<&str> =
        answered.text.lines().filter(|line| line.starts_with("a=candidate")).collect();
    assert_eq!(
        lines.last().map(|line| line.trim_end()),
        Some("a=candidate:3 1 tcp 1520435199 192.0.2.1 7881 typ host tcptype passive")
    );
}
