//! The camera's knobs: `/api/v1/controls`.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value};

use super::HttpState;
use super::body::{self, Whole, expect_json_patch};
use super::problem::Problem;
use crate::camera::{
    ControlChanges, ControlRange, ControlRefusal, ControlValue, PanelState, Power, Setting,
};

/// When to ask again after the camera was not on yet. Who starts it by watching has it by then.
const CAMERA_ON_WITHIN: Duration = Duration::from_secs(3);

#[derive(Serialize)]
struct Panel {
    /// "on" or "off".
    camera: &'static str,
    controls: Vec<Knob>,
    /// What the camera said when it did not take its settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

#[derive(Serialize)]
struct Knob {
    name: &'static str,
    range: Range,
    default: Option<Plain>,
    /// `null` where it is left to the camera.
    value: Option<Plain>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Range {
    Number { min: f64, max: f64 },
    AutoOrNumber { min: f64, max: f64 },
    Words { words: Vec<&'static str> },
    Numbers { len: usize, min: f64, max: f64 },
    Region,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Plain {
    Number(f64),
    Word(String),
    Numbers(Vec<f64>),
}

impl From<PanelState> for Panel {
    fn from(state: PanelState) -> Self {
        Self {
            camera: match state.power {
                Power::Off => "off",
                Power::On => "on",
            },
            controls: state.settings.into_iter().map(Knob::from).collect(),
            refused: state.refused,
        }
    }
}

impl From<Setting> for Knob {
    fn from(Setting { control, value }: Setting) -> Self {
        Self {
            name: control.name,
            range: control.range.into(),
            default: control.default.map(Plain::from),
            value: value.map(Plain::from),
        }
    }
}

impl From<ControlRange> for Range {
    fn from(range: ControlRange) -> Self {
        match range {
            ControlRange::Number { min, max } => Self::Number { min, max },
            ControlRange::AutoOrNumber { min, max } => Self::AutoOrNumber { min, max },
            ControlRange::Words(words) => Self::Words { words },
            ControlRange::Numbers { len, min, max } => Self::Numbers { len, min, max },
            ControlRange::Region => Self::Region,
        }
    }
}

impl From<ControlValue> for Plain {
    fn from(value: ControlValue) -> Self {
        match value {
            ControlValue::Number(number) => Self::Number(number),
            ControlValue::Word(word) => Self::Word(word),
            ControlValue::Numbers(numbers) => Self::Numbers(numbers),
        }
    }
}

/// `GET /api/v1/controls`.
pub(super) async fn get(State(state): State<HttpState>) -> Response {
    body::json(&Panel::from(state.controls.state()))
}

/// `PATCH /api/v1/controls`: what is not named stays as it is.
pub(super) async fn patch(
    State(state): State<HttpState>,
    headers: HeaderMap,
    body: Whole,
) -> Result<Response, Problem> {
    expect_json_patch(&headers)?;
    let fields: Map<String, Value> = body.json(r#"{"brightness": 0.2, "gain": null}"#)?;
    let changes: Result<ControlChanges, Problem> = fields.into_iter().map(change).collect();
    state.controls.ask(changes?)?;
    Ok(get(State(state)).await)
}

/// One change as it was sent, if it is of a form that any control could have.
fn change((name, value): (String, Value)) -> Result<(String, Option<ControlValue>), Problem> {
    let value = match value {
        Value::Null => Some(None),
        Value::Number(number) => number.as_f64().map(ControlValue::Number).map(Some),
        Value::String(word) => Some(Some(ControlValue::Word(word))),
        Value::Array(list) => {
            let numbers: Option<Vec<f64>> = list.iter().map(Value::as_f64).collect();
            numbers.map(ControlValue::Numbers).map(Some)
        }
        Value::Bool(_) | Value::Object(_) => None,
    };
    match value {
        Some(value) => Ok((name, value)),
        None => Err(Problem::bad_request(format!(
            "{name}: expected a number, a word, a list of numbers, or null for what the \
             configuration says"
        ))),
    }
}

impl From<ControlRefusal> for Problem {
    fn from(refusal: ControlRefusal) -> Self {
        let detail = refusal.to_string();
        match refusal {
            ControlRefusal::NotKnownYet => {
                Self::new(StatusCode::CONFLICT, detail).retry_after(CAMERA_ON_WITHIN)
            }
            ControlRefusal::NoSuchControl { .. } | ControlRefusal::OutOfRange { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
            }
        }
    }
}
