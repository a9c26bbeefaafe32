//! [`Text`]: the text of a list as it is kept, in memory and on disk: packed, and read in blocks.

use std::borrow::Cow;
use std::io::Read;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::Delta;
pub use super::blocks::Blocks;

/// The text of a list. A signed one is never in memory as a whole: it is kept as the complete
/// state that came, compressed, and one step that leads from that to this version.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Text {
    form: Form,
    /// Line feeds in it, where it was read through already.
    line_feeds: Option<u64>,
}

/// How it is kept. Copies share it.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Form {
    /// As it is.
    Plain(Arc<Vec<u8>>),
    /// Compressed with zstd.
    Packed {
        complete: Arc<Vec<u8>>,
        step: Option<Arc<Delta>>,
    },
}

impl Text {
    /// A text as it is.
    #[must_use]
    pub fn plain(text: Vec<u8>) -> Self {
        Self {
            form: Form::Plain(Arc::new(text)),
            line_feeds: None,
        }
    }

    /// A compressed text. Nothing is known of it until it is read through.
    #[must_use]
    pub(super) fn packed(complete: Vec<u8>) -> Self {
        Self {
            form: Form::Packed {
                complete: Arc::new(complete),
                step: None,
            },
            line_feeds: None,
        }
    }

    /// The text that another step makes of the complete state of this one; a plain text is
    /// compressed for that.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the name of the text.
    pub(super) fn with_step(&self, step: Delta) -> Result<Self, String> {
        let complete = match &self.form {
            Form::Packed { complete, .. } => Arc::clone(complete),
            Form::Plain(text) => Arc::new(pack(text.as_slice())?),
        };
        let is_long = step.removed.len().saturating_add(step.added.len()) > STEP_CHANGES_MAX;
        let text = Self {
            form: Form::Packed {
                complete,
                step: Some(Arc::new(step)),
            },
            line_feeds: None,
        };
        if is_long { text.repacked() } else { Ok(text) }
    }

    /// The same text without a step.
    fn repacked(&self) -> Result<Self, String> {
        let mut encoder = zstd::Encoder::new(Vec::new(), LEVEL).map_err(unpackable)?;
        let mut blocks = self.blocks()?;
        while let Some(block) = blocks.next()? {
            std::io::Write::write_all(&mut encoder, block).map_err(unpackable)?;
        }
        Ok(Self::packed(encoder.finish().map_err(unpackable)?))
    }

    /// What [`Self::write`] made.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the name of the file.
    pub fn read(stored: &[u8]) -> Result<Self, String> {
        let end = memchr::memchr(b'\n', stored).ok_or("has no first line")?;
        let (head, rest) = stored.split_at_checked(end).unwrap_or_default();
        let length = std::str::from_utf8(head)
            .ok()
            .and_then(|head| head.strip_prefix(MAGIC))
            .and_then(|length| length.trim().parse().ok())
            .ok_or_else(|| format!("does not begin with {MAGIC}"))?;
        let rest = rest.get(1..).unwrap_or_default();
        let (complete, step) = rest.split_at_checked(length).ok_or("is cut off")?;
        let text = Self::packed(complete.to_vec());
        match step {
            [] => Ok(text),
            step => text.with_step(Delta::read(step)?),
        }
    }

    /// The text as it is stored: a line with the length of the complete state, that state,
    /// and the step from it, if there is one.
    ///
    /// # Errors
    /// What is wrong, where it cannot be compressed.
    pub fn write(&self) -> Result<Vec<u8>, String> {
        let (complete, step) = match &self.form {
            Form::Plain(text) => (Cow::Owned(pack(text.as_slice())?), None),
            Form::Packed { complete, step } => (Cow::Borrowed(complete.as_slice()), step.as_ref()),
        };
        let mut stored = format!("{MAGIC} {}\n", complete.len()).into_bytes();
        stored.extend_from_slice(&complete);
        if let Some(step) = step {
            stored.extend(step.write());
        }
        Ok(stored)
    }

    /// Its blocks, from the first on.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the name of the text.
    pub fn blocks(&self) -> Result<Blocks<'_>, String> {
        self.stepped(&[])
    }

    /// The blocks of the text that further steps make of it.
    pub(super) fn stepped<'a>(&'a self, steps: &'a [Delta]) -> Result<Blocks<'a>, String> {
        let (reader, own): (Box<dyn Read + 'a>, _) = match &self.form {
            Form::Plain(text) => (Box::new(text.as_slice()), None),
            Form::Packed { complete, step } => {
                let decoder = zstd::Decoder::with_buffer(complete.as_slice());
                (Box::new(decoder.map_err(unpackable)?), step.as_deref())
            }
        };
        Ok(Blocks::of(reader, own, steps))
    }

    /// Its first line.
    #[must_use]
    pub fn header(&self) -> Vec<u8> {
        let mut blocks = self.blocks();
        let block = blocks.as_mut().ok().and_then(|blocks| blocks.next().ok());
        let block = block.flatten().unwrap_or_default();
        let end = memchr::memchr(b'\n', block).unwrap_or(block.len());
        block.get(..end).unwrap_or_default().to_vec()
    }

    /// Hands out its lines without their line feeds, until `take` wants no more.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the name of the text; that of
    /// a verified one was read through before.
    pub fn each_line(&self, mut take: impl FnMut(&[u8]) -> ControlFlow<()>) -> Result<(), String> {
        let mut blocks = self.blocks()?;
        while let Some(block) = blocks.next()? {
            if block.is_empty() {
                continue;
            }
            let text = block.strip_suffix(b"\n").unwrap_or(block);
            if text
                .split(|octet| *octet == b'\n')
                .any(|line| take(line).is_break())
            {
                break;
            }
        }
        Ok(())
    }

    /// Line feeds in it.
    #[must_use]
    pub fn line_feeds(&self) -> u64 {
        self.line_feeds.unwrap_or_else(|| {
            let mut count = 0_u64;
            if let Ok(mut blocks) = self.blocks() {
                while let Ok(Some(block)) = blocks.next() {
                    count = count.saturating_add(memchr::memchr_iter(b'\n', block).count() as u64);
                }
            }
            count
        })
    }

    /// The same text, of which the line feeds were counted.
    pub(super) fn counted(self, line_feeds: u64) -> Self {
        Self {
            line_feeds: Some(line_feeds),
            ..self
        }
    }

    /// The whole of it at once.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the name of the text.
    pub fn whole(&self) -> Result<Cow<'_, [u8]>, String> {
        if let Form::Plain(text) = &self.form {
            return Ok(Cow::Borrowed(text.as_slice()));
        }
        let mut whole = Vec::new();
        let mut blocks = self.blocks()?;
        while let Some(block) = blocks.next()? {
            whole.extend_from_slice(block);
        }
        Ok(Cow::Owned(whole))
    }
}

/// Compresses a text.
fn pack(text: &[u8]) -> Result<Vec<u8>, String> {
    zstd::encode_all(text, LEVEL).map_err(unpackable)
}

/// What zstd says.
fn unpackable(error: std::io::Error) -> String {
    format!("cannot be packed or unpacked: {error}")
}

/// How a stored text begins.
const MAGIC: &str = "blocklist-state/v1";
/// The effort of compressing: the least.
const LEVEL: i32 = 1;
/// The most changes of the step that is kept beside a complete state; with more, the state
/// is compressed anew.
const STEP_CHANGES_MAX: usize = 1 << 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_reads_the_same() {
        let line =
            |n: u8| format!("{{\"id\":\"{n}\",\"kind\":\"domain\",\"value\":\"v{n}.test\"}}\n");
        let before = ["{\"list\":\"a\"}\n".to_owned(), line(1), line(3)].concat();
        let after = ["{\"list\":\"a\"}\n".to_owned(), line(2), line(3)].concat();
        let plain = Text::plain(before.clone().into_bytes());
        let step = Delta::between("a", 1, (1, before.as_bytes()), (2, after.as_bytes()));
        let stepped = plain.with_step(step.unwrap()).unwrap();
        assert_eq!(stepped.line_feeds(), 3);
        for (text, expected) in [(plain, before), (stepped, after)] {
            let stored = text.write().unwrap();
            let read = Text::read(&stored).unwrap();
            assert_eq!(read.whole().unwrap().as_ref(), expected.as_bytes());
            assert_eq!(read.header(), b"{\"list\":\"a\"}");
            assert_eq!(
                read.repacked().unwrap().whole().unwrap().as_ref(),
                expected.as_bytes()
            );
            for cut in 0..stored.len() {
                let read =
                    Text::read(&stored[..cut]).and_then(|text| Ok(text.whole()?.into_owned()));
                assert_ne!(read.as_deref(), Ok(expected.as_bytes()), "cut at {cut}");
            }
        }
    }
}
