//! The camera's controls: `/api/v1/controls`.

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::camera::{
    self, ControlChanges, ControlError, ControlRange, ControlSetting, ControlValue,
};
use crate::events::Event;
use crate::http::body::{self, RequestBody, expect_json_patch};
use crate::http::camera::AskedCamera;
use crate::http::problem::Problem;
use crate::http::state::HttpState;

/// When to ask again if the camera is not on yet. By then, watching has started it.
const CAMERA_ON_WITHIN: Duration = Duration::from_secs(3);

#[derive(Serialize)]
struct ControlsReport {
    /// "on" or "off".
    camera: &'static str,
    controls: Vec<ControlReport>,
    /// What the camera said when it refused its settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    refused: Option<String>,
}

#[derive(Serialize)]
struct ControlReport {
    name: &'static str,
    range: RangeReport,
    default: Option<ValueReport>,
    /// `null` where it is left to the camera.
    value: Option<ValueReport>,
}

#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum RangeReport {
    Number { min: f64, max: f64 },
    AutoOrNumber { min: f64, max: f64 },
    Words { words: Vec<&'static str> },
    Numbers { len: usize, min: f64, max: f64 },
    Region,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ValueReport {
    Number(f64),
    Word(String),
    Numbers(Vec<f64>),
}

impl From<camera::ControlsReport> for ControlsReport {
    fn from(report: camera::ControlsReport) -> Self {
        Self {
            camera: if report.camera_open { "on" } else { "off" },
            controls: report.controls.into_iter().map(ControlReport::from).collect(),
            refused: report.error,
        }
    }
}

impl From<ControlSetting> for ControlReport {
    fn from(ControlSetting { control, value }: ControlSetting) -> Self {
        Self {
            name: control.name,
            range: control.range.into(),
            default: control.default.map(ValueReport::from),
            value: value.map(ValueReport::from),
        }
    }
}

impl From<ControlRange> for RangeReport {
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

impl From<ControlValue> for ValueReport {
    fn from(value: ControlValue) -> Self {
        match value {
            ControlValue::Number(number) => Self::Number(number),
            ControlValue::Word(word) => Self::Word(word),
            ControlValue::Numbers(numbers) => Self::Numbers(numbers),
        }
    }
}

/// `GET /api/v1/controls`.
pub(in crate::http) async fn get(
    State(state): State<HttpState>,
    AskedCamera(camera): AskedCamera,
) -> Result<Response, Problem> {
    Ok(body::json(&ControlsReport::from(state.camera(&camera)?.controls.report())))
}

/// `PATCH /api/v1/controls`: what is not named stays as it is.
pub(in crate::http) async fn patch(
    State(state): State<HttpState>,
    asked: AskedCamera,
    headers: HeaderMap,
    body: RequestBody,
) -> Result<Response, Problem> {
    expect_json_patch(&headers)?;
    let fields: Map<String, Value> = body.json(r#"{"brightness": 0.2, "gain": null}"#)?;
    let changes: Result<ControlChanges, Problem> = fields.into_iter().map(parse_change).collect();
    let changes = changes?;
    if !changes.is_empty() {
        state.camera(&asked.0)?.controls.request(changes)?;
        state.events.emit(Event::Controls { camera: asked.0.clone() });
    }
    get(State(state), asked).await
}

/// One change as it was sent, if it is of a form that any control could have.
fn parse_change((name, value): (String, Value)) -> Result<(String, Option<ControlValue>), Problem> {
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

impl From<ControlError> for Problem {
    fn from(refusal: ControlError) -> Self {
        let detail = refusal.to_string();
        match refusal {
            ControlError::NotKnownYet => {
                Self::new(StatusCode::CONFLICT, detail).retry_after(CAMERA_ON_WITHIN)
            }
            ControlError::NoSuchControl { .. } | ControlError::OutOfRange { .. } => {
                Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail)
            }
        }
    }
}
