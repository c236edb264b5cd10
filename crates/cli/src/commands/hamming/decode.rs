//! From bytes to symbols.
/// From bytes to symbols, piece by piece.
pub trait Decode<S> {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<S>) -> Result<(), String>;
    fn end(&mut self, out: &mut Vec<S>) -> Result<(), String>;
}

pub struct Bytes;

impl Decode<u8> for Bytes {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        out.extend_from_slice(bytes);
        Ok(())
    }
    fn end(&mut self, _: &mut Vec<u8>) -> Result<(), String> {
        Ok(())
    }
}

/// Integers between white space; a token may go on in the next piece.
#[derive(Default)]
pub struct Tokens {
    begun: Vec<u8>,
    number: usize,
}

impl Decode<u32> for Tokens {
    fn feed(&mut self, bytes: &[u8], out: &mut Vec<u32>) -> Result<(), String> {
        for &b in bytes {
            if b.is_ascii_whitespace() {
                self.end(out)?;
            } else {
                self.begun.push(b);
            }
        }
        Ok(())
    }
    fn end(&mut self, out: &mut Vec<u32>) -> Result<(), String> {
        if !self.begun.is_empty() {
            let token = String::from_utf8_lossy(&self.begun);
            let token = if self.number == 0 { token.trim_start_matches('\u{feff}') } else { &token };
            let wanted = "an integer from 0 to 4294967295 is wanted";
            out.push(token.parse().map_err(|_| format!("token {} is {token:?}, {wanted}", self.number))?);
            self.number += 1;
            self.begun.clear();
        }
        Ok(())
    }
}
