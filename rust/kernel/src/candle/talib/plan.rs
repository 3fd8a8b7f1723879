//! What a batch computes, in which order: the statements' numbers, then their comparisons, then the answers.

use std::cell::RefCell;
use std::sync::LazyLock;

use hashbrown::HashMap;

use super::DRAFTED;
use super::answer::Sign;
use super::draft::{At, Comparison, Draft, Drafting, FIRST_TOTAL, Fact, Formula, Order, PLACES, Truth};
use super::lanes::Is;
use super::total::{self, Range, TOTALS};
use super::view::View;

/// Rows of numbers and of bits, and how each comes about from those before it.
pub(super) struct Plan {
    /// The running totals, as places in [`TOTALS`]: their rows are those after the prices'. A multiple of four.
    pub(super) totals: Vec<usize>,
    /// Rows of numbers: prices, totals, and a step's each.
    pub(super) rows: usize,
    /// The rows of what the totals sum, in the order of [`RANGES`].
    pub(super) ranges: [usize; 4],
    /// What the totals need, of which a bar is looked at that is as far back as they sum.
    pub(super) before_totals: Vec<Step>,
    pub(super) after_totals: Vec<Work>,
    /// Rows of bits: a comparison's each, and a gate's each.
    pub(super) bits: usize,
    pub(super) gates: Vec<Gate>,
    /// In column order.
    pub(super) answers: Vec<Answered>,
}

/// What is summed.
pub(super) const RANGES: [Range; 4] = [Range::Body10, Range::HighLow10, Range::Shadows10, Range::HighLow5];

/// So far back others look at a number made after the totals, if at all.
pub(super) const REACH: usize = 4;

/// A row of numbers to be made of others; the places are rows.
pub(super) struct Step {
    pub(super) formula: Formula,
    pub(super) row: usize,
}

pub(super) enum Work {
    Step(Step),
    Compare(Compared),
}

impl Work {
    /// The rows that are looked at.
    fn looks_at(&mut self) -> Vec<&mut usize> {
        match self {
            Self::Step(step) => step.formula.operands_mut().into_iter().map(|at| &mut at.place).collect(),
            Self::Compare(compared) => compared.sides.as_flattened_mut().iter_mut().map(|at| &mut at.place).collect(),
        }
    }
}

/// Four comparisons of one order, and the rows of bits that they fill.
pub(super) struct Compared {
    pub(super) order: Order,
    pub(super) sides: [[At; 2]; 4],
    pub(super) rows: [usize; 4],
}

/// A row of bits to be made of others.
pub(super) struct Gate {
    pub(super) kind: Kind,
    pub(super) row: usize,
}

pub(super) enum Kind {
    /// Another row, seen later.
    Older(At),
    /// What all of these say.
    All(Vec<Term>),
    /// Where these two differ.
    Differ([usize; 2]),
}

/// What a row of bits says, or the opposite.
#[derive(Clone, Copy)]
pub(super) struct Term {
    pub(super) row: usize,
    pub(super) denied: bool,
}

/// What makes a function's answer: each what all of its terms say.
pub(super) struct Answered {
    pub(super) hit: Vec<Term>,
    pub(super) sign: Sign<Vec<Term>>,
    pub(super) other: Option<Vec<Term>>,
}

/// For totals that differ.
pub(super) static APART: LazyLock<Plan> = LazyLock::new(|| Plan::new((0..total::COUNT).collect()));

/// For totals of which those of one range agree: then they agree for ever.
pub(super) static ALIKE: LazyLock<Plan> = LazyLock::new(|| {
    Plan::new(RANGES.iter().filter_map(|range| TOTALS.iter().position(|total| total.range == *range)).collect())
});

impl Plan {
    /// The plan of all functions, by these of the [`TOTALS`], one of every range at the least.
    fn new(totals: Vec<usize>) -> Self {
        let mut stands_in = [0; total::COUNT];
        for (at, total) in TOTALS.iter().enumerate() {
            let same_range = || totals.iter().position(|of| TOTALS[*of].range == total.range);
            stands_in[at] = totals.iter().position(|of| *of == at).or_else(same_range).unwrap_or_default();
        }
        let draft = RefCell::new(Draft::new(stands_in));
        let drafting = Drafting(&draft);
        let ranges = RANGES.map(|range| drafting.range(range));
        let answers = DRAFTED.map(|statement| {
            let answer = statement(View::new(drafting, &PLACES));
            (answer.hit.lanes(), answer.sign.map(Is::lanes), answer.other.map(Is::lanes))
        });
        let needs = Needs::of(draft.into_inner(), ranges, &answers);
        let mut numbers = Numbers::of(&needs, totals.len());
        let (before_totals, after_totals) = numbers.steps(&needs, ranges);
        let mut bits =
            Bits { needs: &needs, rows: vec![None; needs.uses.len()], gates: vec![], aged: HashMap::new(), count: 0 };
        let mut after_totals = in_order(after_totals, bits.comparisons(&numbers));
        let rows = numbers.reuse(&mut after_totals);
        bits.combine();
        let answers = answers.into_iter().map(|(hit, sign, other)| Answered {
            hit: bits.terms([hit]),
            sign: sign.map(|bearish| bits.terms([bearish])),
            other: other.map(|other| bits.terms([other])),
        });
        Self {
            answers: answers.collect(),
            totals,
            rows,
            ranges: ranges.map(|at| numbers.at(at).place),
            before_totals,
            after_totals,
            bits: bits.count,
            gates: bits.gates,
        }
    }
}

/// What is compared is compared as soon as it is there, and still in the first cache.
fn in_order(steps: Vec<Step>, comparisons: Vec<Compared>) -> Vec<Work> {
    let mut works = vec![];
    let mut comparisons: Vec<Option<Compared>> = comparisons.into_iter().map(Some).collect();
    for step in steps {
        for comparison in &mut comparisons {
            let ready =
                |compared: &mut Compared| compared.sides.as_flattened().iter().all(|side| side.place < step.row);
            works.extend(comparison.take_if(ready).map(Work::Compare));
        }
        works.push(Work::Step(step));
    }
    works.extend(comparisons.into_iter().flatten().map(Work::Compare));
    works
}

/// What of a draft is needed.
struct Needs {
    draft: Draft,
    /// How often a fact is used. Once, if only as a part of one conjunction about the same bar, which then needs no row
    /// of it; else at least twice.
    uses: Vec<usize>,
    /// How far back a number is looked at, if it is.
    reach: Vec<Option<usize>>,
}

impl Needs {
    fn of(draft: Draft, ranges: [At; 4], answers: &[(Truth, Sign<Truth>, Option<Truth>)]) -> Self {
        let (uses, reach) = (vec![0; draft.facts.len()], vec![None; draft.numbers.len()]);
        let mut needs = Self { draft, uses, reach };
        for (hit, sign, other) in answers {
            [Some(hit), sign.bearish(), other.as_ref()].into_iter().flatten().for_each(|truth| needs.used(*truth, 1));
        }
        // What is made comes after what it is made of.
        for place in (0..needs.uses.len()).rev() {
            match needs.draft.facts[place] {
                _ if needs.uses[place] == 0 => {}
                Fact::Compared(Comparison { sides, .. }) => sides.iter().for_each(|side| needs.seen(*side, 0)),
                Fact::Both(truths) => truths.iter().for_each(|truth| needs.used(*truth, 1)),
                Fact::Differ(truths) => truths.iter().for_each(|truth| needs.used(*truth, 2)),
            }
        }
        for (range, at) in RANGES.iter().zip(ranges) {
            needs.seen(at, range.bars());
        }
        for place in (0..needs.reach.len()).rev() {
            if let Some(reach) = needs.reach[place] {
                needs.draft.numbers[place].operands().into_iter().for_each(|at| needs.seen(at, reach));
            }
        }
        needs
    }

    fn used(&mut self, truth: Truth, times: usize) {
        self.uses[truth.at.place] += if truth.denied || truth.at.ago > 0 { 2 } else { times };
    }

    fn seen(&mut self, at: At, reach: usize) {
        let before = &mut self.reach[at.place];
        *before = (*before).max(Some(reach + at.ago));
    }
}

/// The rows of numbers.
struct Numbers {
    rows: Vec<Option<usize>>,
    given: usize,
    count: usize,
}

impl Numbers {
    fn of(needs: &Needs, totals: usize) -> Self {
        let given = FIRST_TOTAL + totals;
        Self {
            rows: (0..needs.reach.len()).map(|place| (place < given).then_some(place)).collect(),
            given,
            count: given,
        }
    }

    /// The same number by its row.
    fn at(&self, at: At) -> At {
        At { place: self.rows[at.place].expect("a number that is needed"), ..at }
    }

    /// What is needed for the totals, and then what is needed else.
    fn steps(&mut self, needs: &Needs, ranges: [At; 4]) -> (Vec<Step>, Vec<Step>) {
        let mut first: Vec<bool> =
            (0..needs.reach.len()).map(|place| ranges.iter().any(|at| at.place == place)).collect();
        for place in (self.given..first.len()).rev() {
            if first[place] {
                needs.draft.numbers[place].operands().iter().for_each(|at| first[at.place] = true);
            }
        }
        let (mut before, mut after) = (vec![], vec![]);
        for (place, formula) in needs.draft.numbers.iter().enumerate().skip(self.given) {
            let Some(reach) = needs.reach[place] else { continue };
            let mut step = Step { formula: *formula, row: self.count };
            step.formula.operands_mut().into_iter().for_each(|at| *at = self.at(*at));
            if first[place] {
                before.push(step);
            } else {
                assert!(reach <= REACH, "a number is looked at {reach} bars back");
                after.push(step);
            }
            self.rows[place] = Some(self.count);
            self.count += 1;
        }
        (before, after)
    }

    /// Gives rows that are looked at no more to others, so that all together fill little more than the first cache.
    /// Returns how many are left.
    fn reuse(&self, works: &mut [Work]) -> usize {
        let mut last_look = vec![0; self.count];
        for (at, work) in works.iter_mut().enumerate() {
            work.looks_at().into_iter().for_each(|row| last_look[*row] = at);
        }
        // Those that came before stay where they are.
        let made = works.iter().filter(|work| matches!(work, Work::Step(_))).count();
        let (mut row_of, mut free): (Vec<usize>, Vec<usize>) = ((0..self.count).collect(), vec![]);
        let mut rows = self.count - made;
        for (at, work) in works.iter_mut().enumerate() {
            let mut done = vec![];
            for row in work.looks_at() {
                if last_look[*row] == at && *row >= self.count - made && !done.contains(&row_of[*row]) {
                    done.push(row_of[*row]);
                }
                *row = row_of[*row];
            }
            if let Work::Step(step) = work {
                row_of[step.row] = free.pop().unwrap_or_else(|| {
                    rows += 1;
                    rows - 1
                });
                step.row = row_of[step.row];
            }
            free.extend(done);
        }
        rows
    }
}

/// The rows of bits.
struct Bits<'a> {
    needs: &'a Needs,
    rows: Vec<Option<usize>>,
    gates: Vec<Gate>,
    /// The row of each that is seen later.
    aged: HashMap<At, usize>,
    count: usize,
}

impl Bits<'_> {
    fn row(&mut self) -> usize {
        self.count += 1;
        self.count - 1
    }

    /// A row for each comparison that is needed.
    fn comparisons(&mut self, numbers: &Numbers) -> Vec<Compared> {
        let mut needed: Vec<(Comparison, usize)> = vec![];
        for (place, fact) in self.needs.draft.facts.iter().enumerate().filter(|(place, _)| self.needs.uses[*place] > 0)
        {
            if let Fact::Compared(Comparison { order, sides }) = fact {
                needed.push((Comparison { order: *order, sides: sides.map(|side| numbers.at(side)) }, place));
            }
        }
        needed.sort_unstable_by_key(|(comparison, place)| {
            (comparison.order, comparison.sides.map(|side| side.place).into_iter().max(), *place)
        });
        let mut comparisons = vec![];
        for same in needed.chunk_by(|(a, _), (b, _)| a.order == b.order) {
            for some in same.chunks(4) {
                let rows: Vec<usize> = some.iter().map(|_| self.row()).collect();
                some.iter().zip(&rows).for_each(|((_, place), row)| self.rows[*place] = Some(*row));
                // The last one again, where there are fewer than four.
                let nth = |at: usize| at.min(some.len() - 1);
                comparisons.push(Compared {
                    order: some[0].0.order,
                    sides: std::array::from_fn(|at| some[nth(at)].0.sides),
                    rows: std::array::from_fn(|at| rows[nth(at)]),
                });
            }
        }
        comparisons
    }

    /// A row for each fact that is used more than once.
    fn combine(&mut self) {
        for (place, fact) in self.needs.draft.facts.iter().enumerate().filter(|(place, _)| self.needs.uses[*place] > 1)
        {
            let kind = match fact {
                Fact::Compared(_) => continue,
                Fact::Both(truths) => Kind::All(self.terms(*truths)),
                Fact::Differ(truths) => Kind::Differ(truths.map(|truth| self.aged(truth.at))),
            };
            self.rows[place] = Some(self.row());
            self.gates.extend(self.rows[place].map(|row| Gate { kind, row }));
        }
    }

    /// Rows that all say so where all of these are true.
    fn terms<const N: usize>(&mut self, truths: [Truth; N]) -> Vec<Term> {
        let mut terms = vec![];
        for Truth { at, denied } in truths {
            match self.needs.draft.facts[at.place] {
                Fact::Both(parts) if self.needs.uses[at.place] == 1 => terms.extend(self.terms(parts)),
                _ => terms.push(Term { row: self.aged(at), denied }),
            }
        }
        terms
    }

    /// The row of a fact, seen so much later.
    fn aged(&mut self, at: At) -> usize {
        let row = self.rows[at.place].expect("a fact with a row");
        if at.ago == 0 {
            return row;
        }
        if let Some(aged) = self.aged.get(&at) {
            return *aged;
        }
        let aged = self.row();
        self.gates.push(Gate { kind: Kind::Older(At { place: row, ..at }), row: aged });
        self.aged.insert(at, aged);
        aged
    }
}
