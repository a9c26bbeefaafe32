//! [`Blocks`]: the text of a list, block by block, while steps are applied to it.

use std::io::Read;

use super::Delta;
use super::stepping::{Stepped, Stepping};

/// Whole lines of a text, one block of them after the other, so that it never is in memory as
/// a whole. The steps of a chain are applied on the way.
pub struct Blocks<'a> {
    reader: Box<dyn Read + 'a>,
    /// What was read and not yet handed out; the first octets of it were.
    buffer: Vec<u8>,
    handed: usize,
    read: u64,
    is_at_end: bool,
    stepping: Option<Stepping<'a>>,
    stepped: Vec<u8>,
    block_octets: usize,
}

impl<'a> Blocks<'a> {
    /// The blocks of what `reader` gives, after the step `own` and then those of `chain`.
    pub(super) fn of(
        reader: Box<dyn Read + 'a>,
        own: Option<&'a Delta>,
        chain: &'a [Delta],
    ) -> Self {
        let is_stepped = own.is_some() || !chain.is_empty();
        Self {
            reader,
            buffer: Vec::new(),
            handed: 0,
            read: 0,
            is_at_end: false,
            stepping: is_stepped.then(|| Stepping::new(own, chain)),
            stepped: Vec::new(),
            block_octets: BLOCK_OCTETS,
        }
    }

    /// The next block; nothing at the end. Every block but the last ends with a line feed.
    ///
    /// # Errors
    /// What is wrong, as the end of a sentence that begins with the name of the text.
    #[expect(clippy::should_implement_trait, reason = "a block is lent")]
    pub fn next(&mut self) -> Result<Option<&[u8]>, String> {
        let Some(end) = self.fill()? else {
            return Ok(None);
        };
        let begin = std::mem::replace(&mut self.handed, end);
        let block = self.buffer.get(begin..end).unwrap_or_default();
        match &mut self.stepping {
            None => Ok(Some(block)),
            Some(stepping) => {
                let is_last = self.is_at_end && end == self.buffer.len();
                let is_same = stepping.take(block, is_last, &mut self.stepped)?;
                Ok(Some(if is_same { block } else { &self.stepped }))
            }
        }
    }

    /// What the steps changed, after the last block.
    pub(super) fn into_stepped(self) -> Stepped {
        self.stepping.map(Stepping::finish).unwrap_or_default()
    }

    /// Reads until there is a block; says where it ends, or nothing at the end of the text.
    fn fill(&mut self) -> Result<Option<usize>, String> {
        self.buffer.drain(..self.handed);
        self.handed = 0;
        let mut wanted = self.block_octets.max(self.buffer.len());
        while !self.is_at_end {
            let begin = self.buffer.len();
            let missing = wanted.saturating_sub(begin) as u64;
            let got = self
                .reader
                .by_ref()
                .take(missing)
                .read_to_end(&mut self.buffer);
            let got = got.map_err(|error| format!("cannot be unpacked: {error}"))?;
            self.read = self.read.saturating_add(got as u64);
            if self.read > TEXT_OCTETS_MAX {
                return Err(format!("is longer than {TEXT_OCTETS_MAX} octets"));
            }
            self.is_at_end = (got as u64) < missing;
            let fresh = self.buffer.get(begin..).unwrap_or_default();
            if let Some(end) = memchr::memrchr(b'\n', fresh)
                && !self.is_at_end
            {
                return Ok(Some(begin.saturating_add(end).saturating_add(1)));
            }
            wanted = wanted.saturating_mul(2);
        }
        // The steps must be told of the end, also where nothing is left.
        let is_told = self.stepping.as_ref().is_none_or(Stepping::is_at_end);
        Ok((!is_told || !self.buffer.is_empty()).then_some(self.buffer.len()))
    }

    /// The same with blocks of another length.
    #[cfg(test)]
    pub(super) fn of_octets(mut self, block_octets: usize) -> Self {
        self.block_octets = block_octets;
        self
    }
}

/// How long a block is: it and its lines fit into the cache of a core.
const BLOCK_OCTETS: usize = 64 << 10;
/// The longest text, and the longest that steps lead from, in octets.
const TEXT_OCTETS_MAX: u64 = 1 << 30;
