//! The pages: facts in, HTML out. No script, nothing from elsewhere; charts are SVG made here.

mod chart;
mod list_card;
mod pages;
mod self_test;
mod words;

pub(super) use pages::{
    Effect, EntryFigure, Page, TopEntries, Window, list, login, overview, problem, timeline,
};

/// The style sheet of all pages.
pub(super) const STYLE: &str = include_str!("style.css");

#[cfg(test)]
mod tests;
