//! [`Octets`]: an input, cut into the parts that a target needs.

/// What is left of an input. Where nothing is left, numbers are 0 and parts are empty.
pub(super) struct Octets<'a>(pub(super) &'a [u8]);

impl<'a> Octets<'a> {
    pub(super) fn octet(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    pub(super) fn bit(&mut self) -> bool {
        self.octet() & 1 == 1
    }

    /// One of them.
    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::from(self.octet()) % of.len()]
    }

    /// A part: its length in two octets, then so many octets, or as many as there are.
    pub(super) fn part(&mut self) -> &'a [u8] {
        let length = usize::from(u16::from_be_bytes([self.octet(), self.octet()]));
        let (part, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        part
    }
}
