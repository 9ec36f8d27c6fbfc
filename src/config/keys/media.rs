//! Rows for the picture: camera, encoder, stream.

use super::{Key, Scope, Section, controls, key};
use crate::config::shape::{
    Maybe, Place, Rate, Real, SourceName, Steps, Switch, Text, Time, Unit, Whole, Words,
};
use crate::config::{Backend, BorderType, Colorspace, Corner, Rotation};

pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "camera",
        scope: Scope::Everywhere,
        doc: "Where pictures come from, and what is done to them before they are encoded. Width, \
              height and rate are wishes: the camera's nearest mode is used.",
    },
    Section {
        name: "camera.overlay",
        scope: Scope::Everywhere,
        doc: "Writing in the picture. It is burnt in: viewers cannot turn it off.",
    },
    Section {
        name: "camera.stabilizer",
        scope: Scope::Everywhere,
        doc: "How pictures are to be steadied once `camera.stabilize` does something.",
    },
    Section {
        name: "camera.controls",
        scope: Scope::Everywhere,
        doc: "The camera's own knobs. What is unset stays as the camera has it; what a camera does \
              not have, or cannot reach, is named in the log and skipped. `GET \
              /api/v1/controls` tells what the camera has.",
    },
    Section {
        name: "encoder",
        scope: Scope::Everywhere,
        doc: "How pictures are coded. It is done once, however many watch.",
    },
    Section {
        name: "stream",
        scope: Scope::Everywhere,
        doc: "Who watches, and what they see when there is no picture.",
    },
];

pub(super) fn keys() -> Vec<Key> {
    [camera(), overlay(), stabilizer(), controls::keys(), encoder(), stream()]
        .into_iter()
        .flatten()
        .collect()
}

fn camera() -> Vec<Key> {
    vec![
        key!(
            "camera.source",
            camera.source,
            SourceName,
            "Where pictures come from. `auto` is the first camera there is, without one the test \
             pattern. `file:NAME` plays a clip in a loop, MP4, MOV or raw H.264, as it is where that \
             can be and else encoded afresh, which the log says. `libcamera` and `v4l2:` need a Picket \
             that was made with the feature of that name; `picket check` says if this one was not. \
             Streams of other cameras and programs (RTSP and the like) cannot be played yet."
        ),
        key!(
            "camera.width",
            camera.width,
            Maybe(Whole(32, 4096)),
            "Width of the picture. The work of encoding grows with width times height; the Pi's \
             hardware ends at 1920."
        )
        .unit("pixels")
        .example("1280"),
        key!("camera.height", camera.height, Maybe(Whole(32, 4096)), "Height of the picture.")
            .unit("pixels")
            .example("720"),
        key!(
            "camera.fps",
            camera.fps,
            Maybe(Real(1.0, 240.0)),
            "Pictures a second. More cost work in proportion, and at the same bit rate each looks \
             a little worse."
        )
        .unit("pictures a second")
        .live()
        .example("30"),
        key!(
            "camera.rotation",
            camera.rotation,
            Steps(&[
                (0, Rotation::None),
                (90, Rotation::Quarter),
                (180, Rotation::Half),
                (270, Rotation::ThreeQuarters),
            ]),
            "Clockwise turn. 180 is free on most cameras; 90 and 270 are done in software and \
             swap width and height."
        )
        .unit("degrees"),
        key!("camera.hflip", camera.hflip, Switch, "Mirrors left and right."),
        key!("camera.vflip", camera.vflip, Switch, "Mirrors top and bottom."),
        key!(
            "camera.frame_size_reduction",
            camera.frame_size_reduction,
            Whole(0, 90),
            "How much of both width and height is taken off before encoding. Scaling costs work \
             of its own; a camera that has a smaller mode does it better by `width` and `height`."
        )
        .unit("per cent"),
        key!(
            "camera.stabilize",
            camera.stabilize,
            Switch,
            "Steadies the picture of a shaking camera, in software: much work, and a delay of \
             `camera.stabilizer.smoothing_radius` pictures. This version does not do it yet, and \
             says so in the log."
        ),
        key!(
            "camera.colorspace",
            camera.colorspace,
            Words(&[("color", Colorspace::Color), ("gray", Colorspace::Gray)]),
            "`gray` drops the colour, which at night is mostly noise and costs bits."
        ),
        key!(
            "camera.time_delay",
            camera.time_delay,
            Time(Unit::Seconds, 0.0, 60.0),
            "How long a camera's pictures are taken and thrown away after it was opened, so that \
             exposure and white balance settle before anybody sees them. The first viewer waits as \
             long. Clips have no such delay."
        ),
        key!(
            "camera.tuning_file",
            camera.tuning_file,
            Maybe(Place("the name of a file")),
            "How libcamera tunes colour, noise and exposure to the sensor and its lens, for one \
             that its own files do not suit, such as a camera without infrared filter. It holds \
             for all cameras on the Pi's ribbon cables, and no others. A file that libcamera could \
             not use is named in the log and left out."
        )
        .example("\"/usr/share/libcamera/ipa/rpi/vc4/imx219_noir.json\""),
    ]
}

fn overlay() -> Vec<Key> {
    vec![
        key!("camera.overlay.text", camera.overlay.text, Maybe(Text(80)), "Words in the picture.")
            .live()
            .example("\"Garden\""),
        key!(
            "camera.overlay.time",
            camera.overlay.time,
            Switch,
            "Date and time in the picture, in `device.timezone`. A Pi has no clock of its own: \
             they are right once it has reached a time server."
        )
        .live(),
        key!(
            "camera.overlay.position",
            camera.overlay.position,
            Words(&[
                ("top-left", Corner::TopLeft),
                ("top-right", Corner::TopRight),
                ("bottom-left", Corner::BottomLeft),
                ("bottom-right", Corner::BottomRight),
            ]),
            "The corner they stand in."
        )
        .live(),
    ]
}

fn stabilizer() -> Vec<Key> {
    vec![
        key!(
            "camera.stabilizer.smoothing_radius",
            camera.stabilizer.smoothing_radius,
            Whole(1, 120),
            "How many pictures the motion is smoothed over. More is steadier, but the picture \
             comes later by as many, and they are all kept in memory."
        )
        .unit("pictures"),
        key!(
            "camera.stabilizer.border_size",
            camera.stabilizer.border_size,
            Whole(0, 512),
            "Border added around the picture, so that what moves out of it is not lost."
        )
        .unit("pixels"),
        key!(
            "camera.stabilizer.border_type",
            camera.stabilizer.border_type,
            Words(&[
                ("black", BorderType::Black),
                ("reflect", BorderType::Reflect),
                ("reflect_101", BorderType::Reflect101),
                ("replicate", BorderType::Replicate),
                ("wrap", BorderType::Wrap),
            ]),
            "What fills the border: black, the mirrored picture (`reflect_101` without repeating \
             the edge itself), its edge drawn out, or its other side."
        ),
        key!(
            "camera.stabilizer.crop_n_zoom",
            camera.stabilizer.crop_n_zoom,
            Switch,
            "Crops the border and enlarges the rest, so that no border is seen. It costs \
             sharpness and some of the view."
        ),
    ]
}

fn encoder() -> Vec<Key> {
    vec![
        key!(
            "encoder.backend",
            encoder.backend,
            Words(&[
                ("auto", Backend::Auto),
                ("v4l2-m2m", Backend::V4l2M2m),
                ("openh264", Backend::OpenH264),
            ]),
            "Who encodes. `auto` is the hardware where there is one (Zero 2 W, 3, 4), else \
             software, which a Pi 5 does well and a Zero 2 W only for small pictures."
        ),
        key!(
            "encoder.bitrate",
            encoder.bitrate,
            Rate,
            "Target rate. Every viewer takes this much of the uplink: ten viewers at 2M need 20 \
             megabits a second."
        )
        .unit("bits a second")
        .live(),
        key!(
            "encoder.keyframe_interval",
            encoder.keyframe_interval,
            Time(Unit::Seconds, 0.5, 120.0),
            "Longest time between key pictures when nobody asks for one. Viewers who join do not \
             wait for it. Key pictures are large: the shorter, the worse the picture at the same \
             rate. Recorders may want 2."
        ),
    ]
}

fn stream() -> Vec<Key> {
    vec![
        key!(
            "stream.live_broadcast",
            stream.live_broadcast,
            Switch,
            "Many viewers at once. Off: one, and who comes next is told so."
        ),
        key!(
            "stream.infinite_frames",
            stream.infinite_frames,
            Switch,
            "When the source ends or fails, viewers see a \"no signal\" card until it is back. \
             Off: the stream ends."
        ),
        key!(
            "stream.max_viewers",
            stream.max_viewers,
            Whole(1, 10_000),
            "Most viewers at once; who comes next is asked to come later. Each costs \
             `encoder.bitrate` of the uplink, and work to encrypt it."
        ),
        key!(
            "stream.keep_warm",
            stream.keep_warm,
            Switch,
            "Keeps camera and encoder running while nobody watches. The first viewer sees a \
             picture about a second sooner; the device stays as warm as if it were watched."
        ),
        key!(
            "stream.mjpeg_fps",
            stream.mjpeg_fps,
            Real(0.1, 30.0),
            "Most pictures a second in `/stream.mjpg`, for programs and browsers that show no \
             video, and among snapshots. Each is made once for all who watch so; while nobody \
             does, none is. It costs far more than video: a picture of 720 lines takes a PC's core \
             12 ms, and a Pi's several times that, and each viewer some 60 KB of the network. \
             `stream.max_viewers` bounds these viewers, too."
        )
        .unit("pictures a second"),
    ]
}
