//! The dependency descriptor (AV1 RTP payload format, appendix A): to which layers a frame belongs,
//! how far back it refers, and which layers can be begun with it.

use belfry_model::outside::Parser;

use super::active::Active;
use super::bits::Bits;
use super::{Cut, Opens, Peek};

/// A header extension is not longer.
const DESCRIPTOR_BYTES_MAX: usize = 255;
/// The mandatory fields: flags and template, and the frame's number.
pub(super) const HEAD_BYTES: usize = 3;
/// What follows the mandatory fields of a descriptor without a structure: flags, the active decode
/// targets, and a frame's own indications, differences and chains.
const REST_BYTES_MAX: usize = 64;
const TEMPLATES_MAX: usize = 64;
/// The indication of a frame from which on a decode target can be decoded.
const SWITCH: u32 = 2;

/// Dependency descriptors.
pub(crate) static DESCRIPTOR: Parser<Descriptor, Cut> = Parser::new(
    "sfu dependency descriptor",
    DESCRIPTOR_BYTES_MAX,
    // A keyframe of one layer: one decode target, two templates, no chain.
    &[0xC0, 0x00, 0x01, 0x80, 0x00, 0x3A, 0x40, 0x00],
    parse,
);

/// One descriptor, as far as it can be read without the structure that came before.
#[derive(Clone, Debug)]
pub(crate) struct Descriptor {
    start: bool,
    end: bool,
    template: u8,
    number: u16,
    /// Only keyframes carry one; what it says of this frame.
    structure: Option<(Box<Structure>, Peek)>,
    rest: [u8; REST_BYTES_MAX],
    rest_len: u8,
}

/// What the frames until the next structure refer to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Structure {
    id_offset: u8,
    templates: Vec<Template>,
    /// Spatial and temporal layer of each decode target.
    targets: Vec<(u8, u8)>,
    /// Those that the encoder makes now.
    active: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Template {
    spatial: u8,
    temporal: u8,
    indications: Vec<u8>,
    reach: u16,
}

/// The flags of the extended fields.
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is one bit on the wire")]
pub(super) struct Flags {
    pub(super) structure: bool,
    pub(super) active: bool,
    indications: bool,
    differences: bool,
    /// A frame's own chains come last and are of no use here.
    chains: bool,
}

fn parse(bytes: &[u8]) -> Result<Descriptor, Cut> {
    let [flags, high, low, after @ ..] = bytes else { return Err(Cut) };
    let mut descriptor = Descriptor {
        start: flags & 0x80 != 0,
        end: flags & 0x40 != 0,
        template: flags & 0x3F,
        number: u16::from_be_bytes([*high, *low]),
        structure: None,
        rest: [0; REST_BYTES_MAX],
        rest_len: 0,
    };
    if after.first().is_some_and(|extended| extended & 0x80 != 0) {
        let mut bits = Bits::new(after);
        let flags = Flags::read(&mut bits)?;
        let mut structure = Structure::read(&mut bits)?;
        let frame = structure.frame(descriptor.template, flags, &mut bits)?;
        descriptor.structure = Some((Box::new(structure), frame));
    } else {
        let rest = descriptor.rest.get_mut(..after.len()).ok_or(Cut)?;
        rest.copy_from_slice(after);
        descriptor.rest_len = after.len() as u8;
    }
    Ok(descriptor)
}

impl Flags {
    pub(super) const COUNT: u32 = 5;

    pub(super) fn read(bits: &mut Bits<'_>) -> Result<Self, Cut> {
        Ok(Self {
            structure: bits.flag()?,
            active: bits.flag()?,
            indications: bits.flag()?,
            differences: bits.flag()?,
            chains: bits.flag()?,
        })
    }

    pub(super) fn with_active(self) -> Self {
        Self { active: true, ..self }
    }

    /// In their order on the wire.
    pub(super) fn bits(self) -> [bool; Self::COUNT as usize] {
        [self.structure, self.active, self.indications, self.differences, self.chains]
    }
}

impl Structure {
    pub(super) fn read(bits: &mut Bits<'_>) -> Result<Self, Cut> {
        let id_offset = bits.number(6)? as u8;
        let target_count = bits.number(5)? + 1;
        let mut templates = Self::layers(bits)?;
        for template in &mut templates {
            template.indications =
                (0..target_count).map(|_| Ok(bits.number(2)? as u8)).collect::<Result<_, Cut>>()?;
        }
        for template in &mut templates {
            while bits.flag()? {
                template.reach = template.reach.max(bits.number(4)? as u16 + 1);
            }
        }
        let chain_count = bits.below(target_count + 1)?;
        if chain_count > 0 {
            for _ in 0..target_count {
                bits.below(chain_count)?;
            }
            for _ in 0..templates.len() as u32 * chain_count {
                bits.number(4)?;
            }
        }
        if bits.flag()? {
            let spatial_max = templates.last().map_or(0, |template| template.spatial);
            for _ in 0..=spatial_max {
                bits.number(32)?;
            }
        }
        let targets = (0..target_count as usize).map(|target| Self::target(&templates, target));
        let targets = targets.collect();
        let active = Active::all(target_count as u8).mask;
        Ok(Self { id_offset, templates, targets, active })
    }

    /// The decode targets of which everything is sent to whoever gets the layers up to these.
    pub(crate) fn active(&self, spatial: u8, temporal: u8) -> Active {
        let sent = |target: &(u8, u8)| target.0 <= spatial && target.1 <= temporal;
        let targets = self.targets.iter().enumerate();
        let mask =
            targets.filter(|(_, target)| sent(target)).fold(0, |mask, (at, _)| mask | 1 << at);
        Active { mask: mask & self.active, count: self.targets.len() as u8 }
    }

    /// The layers of all templates, which are sorted by them.
    fn layers(bits: &mut Bits<'_>) -> Result<Vec<Template>, Cut> {
        let (mut spatial, mut temporal) = (0, 0);
        let mut templates = Vec::new();
        while templates.len() < TEMPLATES_MAX {
            templates.push(Template { spatial, temporal, ..Template::default() });
            match bits.number(2)? {
                0 => {}
                1 => temporal += 1,
                2 => (spatial, temporal) = (spatial + 1, 0),
                _ => return Ok(templates),
            }
        }
        Err(Cut)
    }

    /// The highest layers of the frames that are part of a decode target.
    fn target(templates: &[Template], target: usize) -> (u8, u8) {
        let part = |template: &&Template| template.indications.get(target).is_some_and(|i| *i != 0);
        templates.iter().filter(part).fold((0, 0), |(spatial, temporal), template| {
            (spatial.max(template.spatial), temporal.max(template.temporal))
        })
    }

    /// What the rest of a descriptor and the template that it names say of a frame.
    fn frame(&mut self, template: u8, flags: Flags, bits: &mut Bits<'_>) -> Result<Peek, Cut> {
        let index = (template + 64 - self.id_offset) % 64;
        if flags.active {
            self.active = bits.number(self.targets.len() as u32)?;
        }
        let template = self.templates.get(usize::from(index)).ok_or(Cut)?;
        let mut own = Vec::new();
        if flags.indications {
            own =
                self.targets.iter().map(|_| Ok(bits.number(2)? as u8)).collect::<Result<_, _>>()?;
        }
        let mut reach = template.reach;
        if flags.differences {
            reach = 0;
            loop {
                match bits.number(2)? {
                    0 => break,
                    nibbles => reach = reach.max(bits.number(4 * nibbles)? as u16 + 1),
                }
            }
        }
        let indications = if flags.indications { &own } else { &template.indications };
        let opens = self.opens(template.spatial, indications);
        let Template { spatial, temporal, .. } = *template;
        Ok(Peek { spatial, temporal, reach, opens, ..Peek::default() })
    }

    /// The highest temporal layer of `spatial` that can be begun.
    fn opens(&self, spatial: u8, indications: &[u8]) -> Opens {
        let switched = self.targets.iter().zip(indications);
        let switched = switched.filter(|(target, indication)| {
            target.0 == spatial && u32::from(**indication) == SWITCH
        });
        switched.map(|(target, _)| target.1).max().map_or(Opens::Nothing, Opens::Up)
    }
}

impl Descriptor {
    /// What is known of the frame; `structure` is the one in force, which a new one replaces.
    pub(super) fn peek(self, structure: &mut Option<Box<Structure>>) -> Peek {
        let Self { start, end, template, number, .. } = self;
        let keyframe = self.structure.is_some();
        let known = match self.structure {
            Some((new, frame)) => {
                *structure = Some(new);
                Some(frame)
            }
            None => structure.as_mut().and_then(|structure| {
                let mut bits = Bits::new(self.rest.get(..usize::from(self.rest_len))?);
                let flags = match self.rest_len {
                    0 => Flags::default(),
                    _ => Flags::read(&mut bits).ok()?,
                };
                structure.frame(template, flags, &mut bits).ok()
            }),
        };
        Peek { keyframe, start, end, frame: Some(number), ..known.unwrap_or_default() }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::{DESCRIPTOR, parse};
    use crate::rtp::codec::{Opens, Peek};
    use belfry_model::outside::Target;

    /// Writes a bit string, blanks left out, as bytes.
    pub(in crate::rtp::codec) fn bytes(bits: &str) -> Vec<u8> {
        let bits: Vec<u8> = bits.bytes().filter(|bit| *bit != b' ').map(|bit| bit - b'0').collect();
        let byte =
            |byte: &[u8]| byte.iter().enumerate().fold(0, |sum, (at, bit)| sum | bit << (7 - at));
        bits.chunks(8).map(byte).collect()
    }

    /// Two spatial and two temporal layers, the upper spatial one predicted from the lower on
    /// keyframes only: decode targets S0T0, S0T1, S1T0, S1T1.
    pub(in crate::rtp::codec) fn keyframe(template: u8, number: u16) -> Vec<u8> {
        let head = format!("11 {template:06b} {number:016b} 10000");
        // Id offset 0, four targets; templates S0T0 (key, delta), S0T1, S1T0 (key, delta), S1T1.
        let layers = "000000 00011  00 01 10 00 01 11";
        let indications = "10101010 10100000 00010000 00001010 00001010 00000001";
        let differences = "0 1 0011 0 1 0001 0 1 0000 0 1 0011 0 1 0001 0";
        let chains = "00";
        bytes(&format!("{head} {layers} {indications} {differences} {chains} 0"))
    }

    #[test]
    fn a_structure_is_read_and_in_force_until_the_next() {
        let mut structure = None;
        let key = parse(&keyframe(0, 7)).expect("sound").peek(&mut structure);
        assert!(key.is_entry() && key.end);
        assert_eq!((key.frame, key.opens, key.reach), (Some(7), Opens::Up(1), 0));
        let peek = |template: u8, structure: &mut _| {
            parse(&[0xC0 | template, 0, 9]).expect("sound").peek(structure)
        };
        let delta = Peek { start: true, end: true, frame: Some(9), ..Peek::default() };
        let expected = [
            Peek { opens: Opens::Up(1), ..delta },
            Peek { opens: Opens::Up(1), reach: 4, ..delta },
            Peek { temporal: 1, reach: 2, ..delta },
            Peek { spatial: 1, opens: Opens::Up(1), reach: 1, ..delta },
            Peek { spatial: 1, opens: Opens::Up(1), reach: 4, ..delta },
            Peek { spatial: 1, temporal: 1, reach: 2, ..delta },
        ];
        for (template, expected) in expected.into_iter().enumerate() {
            assert_eq!(peek(template as u8, &mut structure), expected, "template {template}");
        }
        // Beyond the templates: what is known is the frame's own number and nothing of its layers.
        assert_eq!(peek(6, &mut structure), delta);
        assert_eq!(peek(1, &mut None), delta);
    }

    #[test]
    fn indications_and_differences_of_a_frames_own_come_before_its_templates() {
        let mut structure = None;
        parse(&keyframe(0, 7)).expect("sound").peek(&mut structure);
        // No structure, no active targets; indications of its own, differences 3 and 20.
        let own =
            bytes("11 000100 0000000000001001 0 0 1 1 0  00 00 01 10  01 0010 10 00010011 00");
        let peek = parse(&own).expect("sound").peek(&mut structure);
        assert_eq!((peek.spatial, peek.opens, peek.reach), (1, Opens::Up(1), 20));
    }

    #[test]
    fn a_descriptor_that_ends_early_is_refused() {
        let whole = keyframe(0, 7);
        assert!((0..whole.len() - 1).all(|len| len > 2 || parse(&whole[..len]).is_err()));
        assert!((4..whole.len() - 1).all(|len| parse(&whole[..len]).is_err()));
        assert!(parse(&[0; 100]).is_err());
        assert!(DESCRIPTOR.feed(DESCRIPTOR.seed()));
    }
}
