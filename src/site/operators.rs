//! Makes the operators that make strings and lists longer ask first.
//!
//! The template engine has no place to step in before it works out `a * b`. So `a * b` in an owner's
//! template is compiled as `left(a) * multiply(b)`, where both functions give back what they are
//! given and the second, which knows both sides, may refuse. All that a template writes as it stands
//! is cut into pieces, so that the steps for it are as many as it is long.
//!
//! Neither adds a line, so that faults are told by the line they are in.

use minijinja::machinery::ast::{BinOpKind, CallArg, Expr, Stmt};
use minijinja::machinery::{Span, Token, parse, tokenize};
use minijinja::syntax::SyntaxConfig;
use minijinja::{Error, ErrorKind};

/// What the functions are called. No template may have such a name in it.
pub(super) const LEFT: &str = "picket_left_side";
pub(super) const ADD: &str = "picket_add";
pub(super) const MULTIPLY: &str = "picket_multiply";
pub(super) const CONCATENATE: &str = "picket_concatenate";
/// Around a list, tuple or map that is put together.
pub(super) const NEST: &str = "picket_nest";
/// Around what a piece is cut out of.
pub(super) const SLICE: &str = "picket_slice";
/// Around what is put into a namespace.
pub(super) const KEEP: &str = "picket_keep";
const ALL: [&str; 7] = [LEFT, ADD, MULTIPLY, CONCATENATE, NEST, SLICE, KEEP];

/// Brackets inside one another. The parser goes deeper for each.
const MAX_BRACKETS: usize = 50;

/// Bytes that are written in one step.
const PIECE: usize = 64;

/// The template as it is to be compiled.
pub(super) fn instrument(name: &str, source: &str) -> Result<String, Error> {
    if let Some(taken) = ALL.iter().find(|n| source.contains(**n)) {
        let message = format!("the name {taken} is reserved by Picket");
        return Err(Error::new(ErrorKind::SyntaxError, message));
    }
    let Ok((marks, brackets)) = marks(source) else { return Ok(source.to_owned()) };
    if brackets > MAX_BRACKETS {
        let message = format!("more than {MAX_BRACKETS} nested brackets");
        return Err(Error::new(ErrorKind::SyntaxError, message));
    }
    let Ok(template) = parse(source, name, SyntaxConfig::default()) else {
        // The engine will say what is wrong with it, and where.
        return Ok(source.to_owned());
    };
    let mut rewriter = Rewriter { source, marks, insertions: Vec::new() };
    rewriter.statement(&template);
    Ok(rewriter.rewritten())
}

/// Where the operators and ends are that are of interest, and how deep brackets are inside one another.
fn marks(source: &str) -> Result<(Vec<(usize, Mark)>, usize), Error> {
    let mut marks = Vec::new();
    let (mut depth, mut deepest) = (0_usize, 0);
    for token in tokenize(source, false, SyntaxConfig::default()) {
        let (token, span) = token?;
        match token {
            Token::ParenOpen | Token::BracketOpen | Token::BraceOpen => depth += 1,
            Token::ParenClose | Token::BracketClose | Token::BraceClose => {
                depth = depth.saturating_sub(1);
            }
            _ => {}
        }
        deepest = deepest.max(depth);
        let mark = match token {
            Token::Plus => Mark::Add,
            Token::Mul => Mark::Multiply,
            Token::Tilde => Mark::Concatenate,
            Token::Assign => Mark::Assign,
            Token::BlockEnd => Mark::End,
            _ => continue,
        };
        marks.push((span.start_offset as usize, mark));
    }
    Ok((marks, deepest))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Add,
    Multiply,
    Concatenate,
    Assign,
    /// Of a tag.
    End,
}

struct Rewriter<'s> {
    source: &'s str,
    marks: Vec<(usize, Mark)>,
    /// Where to put what. Those for one place are in order.
    insertions: Vec<(usize, String)>,
}

impl Rewriter<'_> {
    fn rewritten(mut self) -> String {
        self.insertions.sort_by_key(|(at, _)| *at);
        let mut written = String::with_capacity(self.source.len() * 2);
        let mut from = 0;
        for (at, text) in &self.insertions {
            written.push_str(&self.source[from..*at]);
            written.push_str(text);
            from = *at;
        }
        written + &self.source[from..]
    }

    fn insert(&mut self, at: usize, text: impl Into<String>) {
        self.insertions.push((at, text.into()));
    }

    /// Where the next `mark` is after what ends there. The parser has seen that there is one.
    fn next(&self, mark: Mark, after: Span) -> Option<usize> {
        let after = after.end_offset as usize;
        self.marks.iter().find(|(at, found)| *at >= after && *found == mark).map(|(at, _)| *at)
    }

    /// `value` becomes `function((value))`, which is right for `a, b` too.
    fn wrap(&mut self, function: &str, begin: usize, end: usize) {
        self.insert(begin, format!("{function}(("));
        self.insert(end, "))");
    }

    /// `left op right` becomes `left(left) op function(right)`.
    fn operator(&mut self, (mark, function): (Mark, &str), whole: Span, left: Span) {
        let Some(at) = self.next(mark, left) else { return };
        self.insert(whole.start_offset as usize, format!("{LEFT}("));
        self.insert(at, ")");
        self.insert(at + 1, format!(" {function}("));
        self.insert(whole.end_offset as usize, ")");
    }

    /// Cuts text that is written as it stands.
    fn text(&mut self, text: &str, span: Span) {
        let begin = span.start_offset as usize;
        // Where a tag has taken spaces away, what is left begins later.
        let Some(begin) = self.source[begin..].find(text).map(|skipped| begin + skipped) else {
            return;
        };
        let raw = self.source[..begin].trim_end().ends_with("%}") && {
            let tag = self.source[..begin].rfind("{%").map_or("", |at| &self.source[at + 2..begin]);
            tag.trim_matches(|c: char| "-+%}".contains(c) || c.is_whitespace()) == "raw"
        };
        let cut = if raw { "{% endraw %}{% raw %}" } else { "{##}" };
        let mut piece = 0;
        for (at, c) in text.char_indices() {
            piece += c.len_utf8();
            let rest = &text[at + c.len_utf8()..];
            // A brace would make another tag together with the one that is put in.
            let apart = raw || c != '{';
            if piece >= PIECE && apart && !rest.is_empty() {
                self.insert(begin + at + c.len_utf8(), cut);
                piece = 0;
            }
        }
    }

    fn statements(&mut self, statements: &[Stmt<'_>]) {
        statements.iter().for_each(|statement| self.statement(statement));
    }

    fn statement(&mut self, statement: &Stmt<'_>) {
        match statement {
            Stmt::Template(s) => self.statements(&s.children),
            Stmt::EmitExpr(s) => self.expression(&s.expr),
            Stmt::EmitRaw(s) => self.text(s.raw, s.span()),
            Stmt::ForLoop(s) => {
                self.expression(&s.iter);
                s.filter_expr.iter().for_each(|e| self.expression(e));
                self.statements(&s.body);
                self.statements(&s.else_body);
            }
            Stmt::IfCond(s) => {
                self.expression(&s.expr);
                self.statements(&s.true_body);
                self.statements(&s.false_body);
            }
            Stmt::WithBlock(s) => {
                s.assignments.iter().for_each(|(_, value)| self.expression(value));
                self.statements(&s.body);
            }
            Stmt::Set(s) => {
                if matches!(s.target, Expr::GetAttr(_) | Expr::List(_))
                    && let Some(assign) = self.next(Mark::Assign, s.target.span())
                    && let Some(end) = self.next(Mark::End, s.expr.span())
                {
                    self.wrap(KEEP, assign + 1, end);
                }
                self.expression(&s.expr);
            }
            Stmt::SetBlock(s) => {
                s.filter.iter().for_each(|e| self.expression(e));
                self.statements(&s.body);
            }
            Stmt::AutoEscape(s) => {
                self.expression(&s.enabled);
                self.statements(&s.body);
            }
            Stmt::FilterBlock(s) => {
                self.expression(&s.filter);
                self.statements(&s.body);
            }
            Stmt::Block(s) => self.statements(&s.body),
            Stmt::Import(s) => self.expression(&s.expr),
            Stmt::FromImport(s) => self.expression(&s.expr),
            Stmt::Extends(s) => self.expression(&s.name),
            Stmt::Include(s) => self.expression(&s.name),
            Stmt::Macro(s) => {
                s.defaults.iter().for_each(|e| self.expression(e));
                self.statements(&s.body);
            }
            Stmt::CallBlock(s) => {
                self.expression(&s.call.expr);
                self.arguments(&s.call.args);
                s.macro_decl.defaults.iter().for_each(|e| self.expression(e));
                self.statements(&s.macro_decl.body);
            }
            Stmt::Do(s) => {
                self.expression(&s.call.expr);
                self.arguments(&s.call.args);
            }
        }
    }

    fn arguments(&mut self, arguments: &[CallArg<'_>]) {
        for argument in arguments {
            match argument {
                CallArg::Pos(e)
                | CallArg::Kwarg(_, e)
                | CallArg::PosSplat(e)
                | CallArg::KwargSplat(e) => self.expression(e),
            }
        }
    }

    fn expression(&mut self, expression: &Expr<'_>) {
        match expression {
            Expr::Var(_) | Expr::Const(_) => {}
            Expr::Slice(e) => {
                let whole = e.expr.span();
                self.wrap(SLICE, whole.start_offset as usize, whole.end_offset as usize);
                self.expression(&e.expr);
                [&e.start, &e.stop, &e.step].into_iter().flatten().for_each(|e| self.expression(e));
            }
            Expr::UnaryOp(e) => self.expression(&e.expr),
            Expr::BinOp(e) => {
                let operator = match e.op {
                    BinOpKind::Add => Some((Mark::Add, ADD)),
                    BinOpKind::Mul => Some((Mark::Multiply, MULTIPLY)),
                    BinOpKind::Concat => Some((Mark::Concatenate, CONCATENATE)),
                    _ => None,
                };
                // The outer one first, which begins at the same place.
                if let Some(operator) = operator {
                    self.operator(operator, expression.span(), e.left.span());
                }
                self.expression(&e.left);
                self.expression(&e.right);
            }
            Expr::Compare(e) => {
                self.expression(&e.expr);
                e.ops.iter().for_each(|op| self.expression(&op.expr));
            }
            Expr::IfExpr(e) => {
                self.expression(&e.test_expr);
                self.expression(&e.true_expr);
                e.false_expr.iter().for_each(|e| self.expression(e));
            }
            Expr::Filter(e) => {
                e.expr.iter().for_each(|e| self.expression(e));
                self.arguments(&e.args);
            }
            Expr::Test(e) => {
                self.expression(&e.expr);
                self.arguments(&e.args);
            }
            Expr::GetAttr(e) => self.expression(&e.expr),
            Expr::GetItem(e) => {
                self.expression(&e.expr);
                self.expression(&e.subscript_expr);
            }
            Expr::Call(e) => {
                self.expression(&e.expr);
                self.arguments(&e.args);
            }
            Expr::List(_) | Expr::Tuple(_) | Expr::Map(_) => {
                let span = expression.span();
                self.wrap(NEST, span.start_offset as usize, span.end_offset as usize);
                self.inside(expression);
            }
        }
    }

    fn inside(&mut self, list: &Expr<'_>) {
        match list {
            Expr::List(e) => e.items.iter().for_each(|e| self.expression(e)),
            Expr::Tuple(e) => e.items.iter().for_each(|e| self.expression(e)),
            Expr::Map(e) => e.keys.iter().chain(&e.values).for_each(|e| self.expression(e)),
            _ => {}
        }
    }
}
