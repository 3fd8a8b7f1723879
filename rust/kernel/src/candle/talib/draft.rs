//! The statements of all functions, written down instead of answered: which numbers they form of a bar, which of them
//! they compare, and how they combine the outcomes.
//!
//! A statement about the bar `ago` back is the same statement about the newest bar, seen later. So all that is written
//! down is about the newest bar of those it speaks of, once, however many functions say it, and used with an age.

use std::cell::RefCell;
use std::ops::Not;

use hashbrown::HashMap;

use super::lanes::{Judge, Price};
use super::total::{self, Range, TOTALS};
use super::view::{Field, Layout};

/// Something of a bar, by the place where it is written down, seen `ago` bars later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct At {
    pub(super) place: usize,
    pub(super) ago: usize,
}

impl At {
    fn newer(self, bars: usize) -> Self {
        Self { ago: self.ago - bars, ..self }
    }

    pub(super) fn older(self, bars: usize) -> Self {
        Self { ago: self.ago + bars, ..self }
    }
}

/// How a number of a bar comes about. Constants are bits of an f64, which have an order and a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Formula {
    /// A column of the bars, or a running total.
    Given,
    Sum(At, At),
    Difference(At, At),
    Size(At),
    Times(At, u64),
    Over(At, u64),
    /// The first number where the comparison holds, else the second.
    Choice(Comparison, At, At),
}

impl Formula {
    /// What the number is made of.
    pub(super) fn operands(mut self) -> Vec<At> {
        self.operands_mut().into_iter().map(|at| *at).collect()
    }

    /// The same, to be changed.
    pub(super) fn operands_mut(&mut self) -> Vec<&mut At> {
        match self {
            Self::Given => vec![],
            Self::Size(a) | Self::Times(a, _) | Self::Over(a, _) => vec![a],
            Self::Sum(a, b) | Self::Difference(a, b) => vec![a, b],
            Self::Choice(Comparison { sides: [a, b], .. }, yes, no) => vec![a, b, yes, no],
        }
    }
}

/// How two numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Order {
    Less,
    LessOrEqual,
    Equal,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Comparison {
    pub(super) order: Order,
    pub(super) sides: [At; 2],
}

/// A yes or no of a bar, or its opposite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Truth {
    pub(super) at: At,
    pub(super) denied: bool,
}

/// How a yes or no of a bar comes about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Fact {
    Compared(Comparison),
    Both([Truth; 2]),
    Differ([Truth; 2]),
}

/// What is known of the numbers of a formula, the prices being finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Known {
    /// Maybe NaN.
    Nothing,
    /// Maybe infinite, never NaN.
    Ordered,
    Finite,
}

/// All that was written down, each after what it is made of.
pub(super) struct Draft {
    /// Open, high, low, close, the totals, and what is made of them.
    pub(super) numbers: Vec<Formula>,
    known: Vec<Known>,
    pub(super) facts: Vec<Fact>,
    number_places: HashMap<Formula, usize>,
    fact_places: HashMap<Fact, usize>,
    /// For each of [`TOTALS`] the place of its numbers.
    totals: [usize; total::COUNT],
}

/// The first place of the totals.
pub(super) const FIRST_TOTAL: usize = 4;

impl Draft {
    /// Nothing yet but what is given. `totals` says which of as many running totals as it names each of [`TOTALS`] is.
    pub(super) fn new(totals: [usize; total::COUNT]) -> Self {
        let given = FIRST_TOTAL + totals.iter().max().map_or(0, |last| last + 1);
        let known = (0..given).map(|place| if place < FIRST_TOTAL { Known::Finite } else { Known::Nothing });
        Self {
            numbers: vec![Formula::Given; given],
            known: known.collect(),
            facts: Vec::new(),
            number_places: HashMap::new(),
            fact_places: HashMap::new(),
            totals: totals.map(|total| FIRST_TOTAL + total),
        }
    }

    fn number(&mut self, formula: Formula) -> usize {
        let known = self.known_of(formula);
        *self.number_places.entry(formula).or_insert_with(|| {
            self.numbers.push(formula);
            self.known.push(known);
            self.numbers.len() - 1
        })
    }

    fn fact(&mut self, fact: Fact) -> usize {
        *self.fact_places.entry(fact).or_insert_with(|| {
            self.facts.push(fact);
            self.facts.len() - 1
        })
    }

    fn known_of(&self, formula: Formula) -> Known {
        let known = |at: At| self.known[at.place];
        match formula {
            Formula::Given => Known::Nothing,
            Formula::Sum(a, b) | Formula::Difference(a, b) => match (known(a), known(b)) {
                (Known::Finite, Known::Finite | Known::Ordered) | (Known::Ordered, Known::Finite) => Known::Ordered,
                _ => Known::Nothing,
            },
            // No statement multiplies by 0 or divides by it.
            Formula::Times(a, _) | Formula::Over(a, _) => known(a).min(Known::Ordered),
            Formula::Size(a) => known(a),
            Formula::Choice(_, yes, no) => known(yes).min(known(no)),
        }
    }

    fn compared(&mut self, order: Order, [a, b]: [At; 2]) -> Truth {
        let ordered = [a, b].iter().all(|side| self.known[side.place] >= Known::Ordered);
        if order == Order::Equal && ordered {
            let [below, above] = [[a, b], [b, a]].map(|sides| self.compared(Order::Less, sides));
            return self.combined(Fact::Both, !below, !above);
        }
        let newest = a.ago.min(b.ago);
        let (a, b) = (a.newer(newest), b.newer(newest));
        let (order, sides, denied) = match order {
            // Of numbers that have an order, one is at most the other unless the other is less.
            Order::LessOrEqual if ordered => (Order::Less, [b, a], true),
            Order::Equal => (Order::Equal, [a.min(b), a.max(b)], false),
            _ => (order, [a, b], false),
        };
        let place = self.fact(Fact::Compared(Comparison { order, sides }));
        Truth { at: At { place, ago: newest }, denied }
    }

    fn combined(&mut self, form: fn([Truth; 2]) -> Fact, a: Truth, b: Truth) -> Truth {
        let ago = a.at.ago.min(b.at.ago);
        let truths = [a.min(b), a.max(b)].map(|truth| Truth { at: truth.at.newer(ago), ..truth });
        Truth { at: At { place: self.fact(form(truths)), ago }, denied: false }
    }
}

impl Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        Self { denied: !self.denied, ..self }
    }
}

/// A number of a bar, or one that has no bar.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Of(At),
    Constant(f64),
}

impl Number {
    pub(super) fn at(self) -> At {
        match self {
            Self::Of(at) => at,
            Self::Constant(value) => panic!("{value} is no number of a bar"),
        }
    }

    fn constant(self) -> f64 {
        match self {
            Self::Of(at) => panic!("{at:?} is no constant"),
            Self::Constant(value) => value,
        }
    }
}

/// Writes down what is asked.
#[derive(Clone, Copy)]
pub(super) struct Drafting<'a>(pub(super) &'a RefCell<Draft>);

impl Drafting<'_> {
    /// What `form` makes of two numbers, each as many bars before the newer one as it is.
    fn of_two(self, form: fn(At, At) -> Formula, a: Number, b: Number) -> Number {
        let (a, b) = (a.at(), b.at());
        let ago = a.ago.min(b.ago);
        Number::Of(At { place: self.0.borrow_mut().number(form(a.newer(ago), b.newer(ago))), ago })
    }

    fn of_one(self, form: impl Fn(At) -> Formula, a: Number) -> Number {
        let At { place, ago } = a.at();
        Number::Of(At { place: self.0.borrow_mut().number(form(At { place, ago: 0 })), ago })
    }

    /// The range of one bar.
    pub(super) fn range(self, range: Range) -> At {
        let column = |field: Field| Price::load(self, &PLACES[ByPlace::bar(field, 0)..]);
        let [open, high, low, close] = [Field::Open, Field::High, Field::Low, Field::Close].map(column);
        range.of(open, high, low, close).lanes().at()
    }
}

impl Judge for Drafting<'_> {
    type Number = Number;
    type Truth = Truth;
    const LANES: usize = 1;

    fn load(self, cells: &[f64]) -> Number {
        let place = cells[0] as usize;
        let (row, ago) = (place / AGES, place % AGES);
        let Some(total) = row.checked_sub(FIRST_TOTAL) else { return Number::Of(At { place: row, ago }) };
        let bars = TOTALS[total].range.bars() as f64;
        let place = self.0.borrow().totals[total];
        self.div(Number::Of(At { place, ago }), Number::Constant(bars))
    }

    fn splat(self, value: f64) -> Number {
        Number::Constant(value)
    }

    fn add(self, a: Number, b: Number) -> Number {
        self.of_two(Formula::Sum, a, b)
    }

    fn sub(self, a: Number, b: Number) -> Number {
        self.of_two(Formula::Difference, a, b)
    }

    fn mul(self, a: Number, b: Number) -> Number {
        self.of_one(|a| Formula::Times(a, b.constant().to_bits()), a)
    }

    fn div(self, a: Number, b: Number) -> Number {
        let divisor = b.constant();
        if divisor == 2.0 {
            // The same number, sooner.
            return self.mul(a, Number::Constant(0.5));
        }
        self.of_one(|a| Formula::Over(a, divisor.to_bits()), a)
    }

    fn abs(self, a: Number) -> Number {
        self.of_one(Formula::Size, a)
    }

    fn less(self, a: Number, b: Number) -> Truth {
        self.0.borrow_mut().compared(Order::Less, [a.at(), b.at()])
    }

    fn less_or_equal(self, a: Number, b: Number) -> Truth {
        self.0.borrow_mut().compared(Order::LessOrEqual, [a.at(), b.at()])
    }

    fn equal(self, a: Number, b: Number) -> Truth {
        self.0.borrow_mut().compared(Order::Equal, [a.at(), b.at()])
    }

    fn select(self, truth: Truth, yes: Number, no: Number) -> Number {
        let mut draft = self.0.borrow_mut();
        let Fact::Compared(when) = draft.facts[truth.at.place] else { panic!("no statement chooses a price by more") };
        let (yes, no) = if truth.denied { (no.at(), yes.at()) } else { (yes.at(), no.at()) };
        let ago = truth.at.ago.min(yes.ago).min(no.ago);
        let when = Comparison { sides: when.sides.map(|side| side.older(truth.at.ago - ago)), ..when };
        let place = draft.number(Formula::Choice(when, yes.newer(ago), no.newer(ago)));
        Number::Of(At { place, ago })
    }

    fn and(self, a: Truth, b: Truth) -> Truth {
        self.0.borrow_mut().combined(Fact::Both, a, b)
    }

    fn or(self, a: Truth, b: Truth) -> Truth {
        !self.and(!a, !b)
    }

    fn xor(self, a: Truth, b: Truth) -> Truth {
        let plain = |term: Truth| Truth { denied: false, ..term };
        let differ = self.0.borrow_mut().combined(Fact::Differ, plain(a), plain(b));
        Truth { denied: a.denied != b.denied, ..differ }
    }

    fn not(self, a: Truth) -> Truth {
        !a
    }
}

/// More bars than any statement looks back.
const AGES: usize = 8;

const CELLS: usize = (FIRST_TOTAL + total::COUNT) * AGES;

/// Cells that each hold their own place, from which [`Drafting`] reads what is asked for.
pub(super) const PLACES: [f64; CELLS] = {
    let mut places = [0.0; CELLS];
    let mut place = 0;
    while place < CELLS {
        places[place] = place as f64;
        place += 1;
    }
    places
};

/// Where they stand.
#[derive(Clone, Copy)]
pub(super) struct ByPlace;

impl Layout for ByPlace {
    fn span(_: usize) -> usize {
        CELLS
    }

    fn bar(field: Field, ago: usize) -> usize {
        assert!(ago < AGES, "no statement looks that far back");
        field as usize * AGES + ago
    }

    fn mean(total: usize, ago: usize) -> usize {
        assert!(ago < AGES, "no statement looks that far back");
        (FIRST_TOTAL + total) * AGES + ago
    }
}
