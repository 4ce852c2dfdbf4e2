//! What each pickle opcode does to the machine; names in comments are those of `pickletools`.
//! Not supported: the extension registry and out-of-band buffers.

use super::calls;
use super::machine::{Call, Id, MOST_NODES, Machine, Node};
use anyhow::{Context, Result, bail, ensure};
use std::borrow::Cow;

impl<'a> Machine<'a> {
    /// Does one opcode, whose byte has been read.
    pub(super) fn step(&mut self, op: u8) -> Result<()> {
        match op {
            0x80 => {
                let protocol = self.number(1)?;
                ensure!(protocol <= 5, "pickle protocol {protocol} is not known (0 to 5 are)");
            }
            0x95 => drop(self.take(8)?), // FRAME: a length that only helps buffering
            b'0' => match self.pop() {
                Ok(_) => (),
                Err(_) => drop(self.above_mark()?), // POP of a mark
            },
            b'1' => drop(self.above_mark()?),
            b'2' => {
                let top = self.top()?;
                self.push_id(top);
            }
            b'(' => self.mark(),
            0x98 => (), // READONLY_BUFFER
            b'N' | 0x88 | 0x89 | b'I' | b'J' | b'K' | b'M' | b'L' | 0x8a | 0x8b | b'F' | b'G' => {
                let node = self.scalar(op)?;
                self.push(node)?;
            }
            b'S' | b'T' | b'U' | b'B' | b'C' | 0x8e | 0x96 | b'V' | b'X' | 0x8c | 0x8d => {
                let node = self.string(op)?;
                self.push(node)?;
            }
            b'p' | b'q' | b'r' | 0x94 | b'g' | b'h' | b'j' => self.remember(op)?,
            b'c' | 0x93 | b'R' | b'i' | b'o' | 0x81 | 0x92 | b'b' | b'P' | b'Q' => {
                self.object(op)?
            }
            _ => self.container(op)?,
        }
        Ok(())
    }

    fn scalar(&mut self, op: u8) -> Result<Node<'a>> {
        Ok(match op {
            b'N' => Node::None,
            0x88 => Node::Bool(true),
            0x89 => Node::Bool(false),
            b'I' => match self.line()? {
                b"01" => Node::Bool(true),
                b"00" => Node::Bool(false),
                digits => integer(digits)?,
            },
            b'L' => {
                let line = self.line()?;
                integer(line.strip_suffix(b"L").unwrap_or(line))?
            }
            b'J' => Node::Int(i64::from(self.number(4)? as u32 as i32)),
            b'K' => Node::Int(self.number(1)? as i64),
            b'M' => Node::Int(self.number(2)? as i64),
            0x8a => long(self.counted(1)?),
            0x8b => long(self.counted(4)?),
            b'F' => Node::Float(std::str::from_utf8(self.line()?)?.parse()?),
            _ => {
                let bytes = self.take(8)?.try_into().expect("eight bytes were asked for");
                Node::Float(f64::from_be_bytes(bytes))
            }
        })
    }

    fn string(&mut self, op: u8) -> Result<Node<'a>> {
        let text = |bytes| -> Result<Node<'a>> {
            let text = std::str::from_utf8(bytes).context("text that is not UTF-8")?;
            Ok(Node::Str(Cow::Borrowed(text)))
        };
        Ok(match op {
            b'S' => Node::Bytes(Cow::Owned(unquoted(self.line()?)?)),
            b'V' => Node::Str(Cow::Owned(unescaped(self.line()?)?)),
            b'U' | b'C' => Node::Bytes(Cow::Borrowed(self.counted(1)?)),
            b'T' | b'B' => Node::Bytes(Cow::Borrowed(self.counted(4)?)),
            0x8e | 0x96 => Node::Bytes(Cow::Borrowed(self.counted(8)?)),
            0x8c => text(self.counted(1)?)?,
            b'X' => text(self.counted(4)?)?,
            _ => text(self.counted(8)?)?,
        })
    }

    /// PUT and GET in all their forms, and MEMOIZE.
    fn remember(&mut self, op: u8) -> Result<()> {
        let key = match op {
            b'p' | b'g' => std::str::from_utf8(self.line()?)?.parse()?,
            b'q' | b'h' => self.number(1)?,
            b'r' | b'j' => self.number(4)?,
            _ => self.memo.len() as u64,
        };
        if matches!(op, b'g' | b'h' | b'j') {
            let id = self.memo.get(&key).copied();
            let id = id.with_context(|| format!("the pickle refers to `{key}`, never stored"))?;
            self.push_id(id);
        } else {
            let top = self.top()?;
            ensure!(self.memo.len() < MOST_NODES, "the pickle stores too many values");
            self.memo.insert(key, top);
        }
        Ok(())
    }

    fn container(&mut self, op: u8) -> Result<()> {
        match op {
            b']' | 0x8f => self.push(Node::List(vec![])),
            b')' => self.push(Node::Tuple(vec![])),
            b'}' => self.push(Node::Dict(vec![])),
            b'l' | 0x91 => self.above_mark().and_then(|items| self.push(Node::List(items))),
            b't' => self.above_mark().and_then(|items| self.push(Node::Tuple(items))),
            b'd' => {
                let items = pairs(self.above_mark()?)?;
                self.push(Node::Dict(items))
            }
            0x85..=0x87 => {
                let mut items = vec![];
                for _ in 0x85..=op {
                    items.insert(0, self.pop()?);
                }
                self.push(Node::Tuple(items))
            }
            b'a' => self.pop().and_then(|item| self.extend(vec![item])),
            b'e' | 0x90 => self.above_mark().and_then(|items| self.extend(items)),
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.insert(vec![(key, value)])
            }
            b'u' => {
                let items = pairs(self.above_mark()?)?;
                self.insert(items)
            }
            other => bail!("`\\x{other:02x}` is not a pickle opcode that is supported"),
        }
    }

    fn extend(&mut self, items: Vec<Id>) -> Result<()> {
        let top = self.top()?;
        match self.node(top) {
            Node::List(list) => list.extend(items),
            Node::Call(_) => (), // a subclass of `list`: opaque, and nobody asks for its items
            _ => bail!("items for something that is not a list"),
        }
        Ok(())
    }

    fn insert(&mut self, items: Vec<(Id, Id)>) -> Result<()> {
        let top = self.top()?;
        match self.node(top) {
            Node::Dict(dict) => dict.extend(items),
            Node::Call(call) => call.items.extend(items),
            _ => bail!("entries for something that is not a dict"),
        }
        Ok(())
    }

    /// Names, calls, states and persistent ids.
    fn object(&mut self, op: u8) -> Result<()> {
        match op {
            b'c' | 0x93 => {
                let name = match op {
                    b'c' => self.named()?,
                    _ => {
                        let (name, module) = (self.pop()?, self.pop()?);
                        calls::admit(&self.text(module)?, &self.text(name)?)?
                    }
                };
                self.push(Node::Global(name))
            }
            b'i' => {
                let class = self.named()?;
                let args = self.above_mark()?;
                self.call(class, args)
            }
            b'o' => {
                let mut args = self.above_mark()?;
                ensure!(!args.is_empty(), "an object without a class");
                let class = args.remove(0);
                let class = self.class(class)?;
                self.call(class, args)
            }
            b'R' | 0x81 => {
                let (args, class) = (self.pop()?, self.pop()?);
                let class = self.class(class)?;
                if op == b'R' {
                    calls::admit_call(&class)?;
                }
                self.push_call(class, args)
            }
            0x92 => {
                let (_, args, class) = (self.pop()?, self.pop()?, self.pop()?);
                let class = self.class(class)?;
                self.push_call(class, args)
            }
            b'b' => self.set_state(),
            b'P' => {
                let name = String::from_utf8_lossy(self.line()?);
                let id = self.add(Node::Str(name))?;
                self.push(Node::Persistent(id))
            }
            _ => self.pop().and_then(|id| self.push(Node::Persistent(id))),
        }
    }

    fn named(&mut self) -> Result<String> {
        let module = std::str::from_utf8(self.line()?)?;
        calls::admit(module, std::str::from_utf8(self.line()?)?)
    }

    fn class(&mut self, id: Id) -> Result<String> {
        match self.node(id) {
            Node::Global(name) => Ok(name.clone()),
            _ => bail!("the pickle calls something that is not a name"),
        }
    }

    fn call(&mut self, class: String, args: Vec<Id>) -> Result<()> {
        calls::admit_call(&class)?;
        let args = self.add(Node::Tuple(args))?;
        self.push_call(class, args)
    }

    fn push_call(&mut self, class: String, args: Id) -> Result<()> {
        self.push(Node::Call(Call { class, args, state: None, items: vec![] }.into()))
    }

    fn set_state(&mut self) -> Result<()> {
        let state = self.pop()?;
        let top = self.top()?;
        match self.node(top) {
            Node::Call(call) => call.state = Some(state),
            _ => bail!("state for something that is not an object"),
        }
        Ok(())
    }
}

fn pairs(ids: Vec<Id>) -> Result<Vec<(Id, Id)>> {
    ensure!(ids.len().is_multiple_of(2), "a dict has a key without a value");
    Ok(ids.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect())
}

fn integer(digits: &[u8]) -> Result<Node<'static>> {
    let number: i128 = std::str::from_utf8(digits)?.parse().context("not an integer")?;
    Ok(long(&number.to_le_bytes()))
}

/// An integer in two's complement, little-endian.
fn long(bytes: &[u8]) -> Node<'static> {
    let fill = if bytes.last().is_some_and(|&top| top >= 0x80) { 0xff } else { 0 };
    let mut number = [fill; 8];
    let low = bytes.len().min(8);
    number[..low].copy_from_slice(&bytes[..low]);
    let fits = bytes[low..].iter().all(|&byte| byte == fill) && (number[7] >= 0x80) == (fill != 0);
    match fits {
        true => Node::Int(i64::from_le_bytes(number)),
        false => Node::Long(bytes.to_vec()),
    }
}

/// The bytes of a quoted Python 2 string literal.
fn unquoted(literal: &[u8]) -> Result<Vec<u8>> {
    let inner = match literal {
        [b'\'', inner @ .., b'\''] | [b'"', inner @ .., b'"'] => inner,
        _ => bail!("a string without its quotes"),
    };
    let mut bytes = inner.iter().copied();
    let mut plain = vec![];
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            plain.push(byte);
            continue;
        }
        plain.push(match bytes.next().context("a string that ends in a backslash")? {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'x' => hexadecimal(&mut bytes, 2)? as u8,
            quoted @ (b'\\' | b'\'' | b'"') => quoted,
            other => bail!("a string with the unknown escape `\\{}`", char::from(other)),
        });
    }
    Ok(plain)
}

/// Text in Python's raw-unicode-escape: Latin-1 with `\u` and four hexadecimal digits or `\U` and eight.
fn unescaped(line: &[u8]) -> Result<String> {
    let mut bytes = line.iter().copied().peekable();
    let mut text = String::new();
    while let Some(byte) = bytes.next() {
        let digits = match (byte, bytes.peek()) {
            (b'\\', Some(b'u')) => 4,
            (b'\\', Some(b'U')) => 8,
            _ => {
                text.push(char::from(byte));
                continue;
            }
        };
        bytes.next();
        let code = hexadecimal(&mut bytes, digits)?;
        text.push(char::from_u32(code).context("not a Unicode character")?);
    }
    Ok(text)
}

fn hexadecimal(bytes: &mut impl Iterator<Item = u8>, digits: usize) -> Result<u32> {
    let mut number = 0;
    for _ in 0..digits {
        let digit = bytes.next().and_then(|byte| char::from(byte).to_digit(16));
        number = number << 4 | digit.context("an escape without its digits")?;
    }
    Ok(number)
}
