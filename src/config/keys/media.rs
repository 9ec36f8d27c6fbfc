//! Rows for the picture: camera, encoder, stream.

use super::controls;
use super::key::{CAMERAS, Key, Scope, Section, key};
use crate::config::shape::{
    Boolean, Choice, FilePath, Integer, Number, NumericChoice, Optional, Rate, SourceName, Text,
    Time, Unit,
};
use crate::config::{Backend, BorderType};
use crate::transform::{ColourMode, Corner, Rotation};

pub(super) const SECTIONS: &[Section] = &[
    Section {
        name: "camera",
        scope: Scope::Everywhere,
        doc: "Where pictures come from, and what is done to them before they are encoded. Width, \
              height and frame rate are wishes: the camera's nearest mode is used.",
    },
    Section {
        name: "camera.overlay",
        scope: Scope::Everywhere,
        doc: "Text in the picture. It becomes part of the video: viewers cannot turn it off.",
    },
    Section {
        name: "camera.stabilizer",
        scope: Scope::Everywhere,
        doc: "How the picture is to be stabilized once `camera.stabilize` does something.",
    },
    Section {
        name: "camera.controls",
        scope: Scope::Everywhere,
        doc: "The camera's own controls. What is unset stays as the camera has it; what a camera \
              does not have, or does not reach, is named in the log and skipped. `GET \
              /api/v1/controls` tells what the camera has.",
    },
    Section {
        name: "encoder",
        scope: Scope::Everywhere,
        doc: "How pictures are encoded. That is done once, however many viewers watch.",
    },
    Section {
        name: CAMERAS,
        scope: Scope::Everywhere,
        doc: "Further cameras, beside the one of `[camera]`, which is called `main`. Write \
              `[[cameras]]` above each, and below it its `name`, its `source` and whatever else \
              `[camera]` and `[encoder]` have, with the same meaning and the same defaults. Each is \
              encoded by itself, and costs as much as the first. Set the `source` of `[camera]`, \
              too: `auto` may find a device that is meant for another camera.",
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
             pattern. `file:NAME` plays a clip in a loop, MP4, MOV or raw H.264, as it is where \
             possible and otherwise encoded again, which the log says. `picket probe` lists the \
             cameras: `libcamera:` goes before a number or an id, `v4l2:` before a device file \
             or a part of a name; ids and names stay what they are when another camera is plugged \
             in. Both need a Picket that was built with the feature of that name; `picket check` \
             says if this one was not. Streams of other cameras and programs (RTSP and the like) \
             cannot be played yet."
        ),
        key!(
            "camera.width",
            camera.width,
            Optional(Integer(32, 4096)),
            "Width of the picture. The work of encoding grows with width times height; the Pi's \
             hardware encoder takes at most 1920."
        )
        .unit("pixels")
        .example("1280"),
        key!("camera.height", camera.height, Optional(Integer(32, 4096)), "Height of the picture.")
            .unit("pixels")
            .example("720"),
        key!(
            "camera.fps",
            camera.fps,
            Optional(Number(1.0, 240.0)),
            "Frame rate. The work grows in proportion to it, and at the same bit rate each picture \
             looks a little worse."
        )
        .unit("frames per second")
        .live()
        .example("30"),
        key!(
            "camera.rotation",
            camera.rotation,
            NumericChoice(&[
                (0, Rotation::None),
                (90, Rotation::Clockwise90),
                (180, Rotation::Clockwise180),
                (270, Rotation::Clockwise270),
            ]),
            "Clockwise rotation. 180 costs nothing on most cameras; 90 and 270 are done in \
             software and swap width and height."
        )
        .unit("degrees"),
        key!("camera.hflip", camera.hflip, Boolean, "Mirrors left and right."),
        key!("camera.vflip", camera.vflip, Boolean, "Mirrors top and bottom."),
        key!(
            "camera.frame_size_reduction",
            camera.frame_size_reduction,
            Integer(0, 90),
            "By how much both width and height are reduced before encoding. Scaling costs work of \
             its own; a camera that has a smaller mode does it better with `width` and `height`."
        )
        .unit("per cent"),
        key!(
            "camera.stabilize",
            camera.stabilize,
            Boolean,
            "Stabilizes the picture of a shaking camera, in software: much work, and a delay of \
             `camera.stabilizer.smoothing_radius` pictures. This version does not do it yet, and \
             says so in the log."
        ),
        key!(
            "camera.colorspace",
            camera.colorspace,
            Choice(&[("color", ColourMode::Colour), ("gray", ColourMode::Gray)]),
            "`gray` drops the colour, which at night is mostly noise and costs bits."
        ),
        key!(
            "camera.time_delay",
            camera.time_delay,
            Time(Unit::Seconds, 0.0, 60.0),
            "For how long a camera's pictures are discarded after it was opened, so that exposure \
             and white balance settle before anybody sees them. The first viewer waits that long. \
             Clips have no such delay."
        ),
        key!(
            "camera.tuning_file",
            camera.tuning_file,
            Optional(FilePath("the name of a file")),
            "How libcamera tunes colour, noise and exposure to the sensor and its lens, for one \
             that its own files do not suit, such as a camera without infrared filter. It applies \
             to all cameras on the Pi's ribbon cables, and to no others. A file that libcamera \
             could not use is named in the log and left out."
        )
        .example("\"/usr/share/libcamera/ipa/rpi/vc4/imx219_noir.json\""),
    ]
}

fn overlay() -> Vec<Key> {
    vec![
        key!(
            "camera.overlay.text",
            camera.overlay.text,
            Optional(Text(80)),
            "Text in the picture."
        )
        .live()
        .example("\"Garden\""),
        key!(
            "camera.overlay.time",
            camera.overlay.time,
            Boolean,
            "Date and time in the picture, in `device.timezone`. A Pi has no clock of its own: \
             they are right once it has reached a time server."
        )
        .live(),
        key!(
            "camera.overlay.position",
            camera.overlay.position,
            Choice(&[
                ("top-left", Corner::TopLeft),
                ("top-right", Corner::TopRight),
                ("bottom-left", Corner::BottomLeft),
                ("bottom-right", Corner::BottomRight),
            ]),
            "The corner that text, date and time are shown in."
        )
        .live(),
    ]
}

fn stabilizer() -> Vec<Key> {
    vec![
        key!(
            "camera.stabilizer.smoothing_radius",
            camera.stabilizer.smoothing_radius,
            Integer(1, 120),
            "How many pictures the motion is smoothed over. More is steadier, but the picture is \
             delayed by as many, and they are all kept in memory."
        )
        .unit("pictures"),
        key!(
            "camera.stabilizer.border_size",
            camera.stabilizer.border_size,
            Integer(0, 512),
            "Border added around the picture, so that what is moved out of it is not lost."
        )
        .unit("pixels"),
        key!(
            "camera.stabilizer.border_type",
            camera.stabilizer.border_type,
            Choice(&[
                ("black", BorderType::Black),
                ("reflect", BorderType::Reflect),
                ("reflect_101", BorderType::Reflect101),
                ("replicate", BorderType::Replicate),
                ("wrap", BorderType::Wrap),
            ]),
            "What fills the border: black, the mirrored picture (`reflect_101` without repeating \
             the edge itself), its edge repeated, or its opposite side."
        ),
        key!(
            "camera.stabilizer.crop_n_zoom",
            camera.stabilizer.crop_n_zoom,
            Boolean,
            "Crops the border and enlarges the rest, so that no border is visible. It costs \
             sharpness and some of the view."
        ),
    ]
}

fn encoder() -> Vec<Key> {
    vec![
        key!(
            "encoder.backend",
            encoder.backend,
            Choice(&[
                ("auto", Backend::Auto),
                ("v4l2-m2m", Backend::V4l2M2m),
                ("openh264", Backend::OpenH264),
            ]),
            "Which encoder is used. `auto` is the hardware where there is one (Zero 2 W, 3, 4), \
             else software, which a Pi 5 does well and a Zero 2 W only for small pictures."
        ),
        key!(
            "encoder.bitrate",
            encoder.bitrate,
            Rate,
            "Target bit rate. Every viewer takes this much of the uplink: ten viewers at 2M need \
             20 megabits per second."
        )
        .unit("bits per second")
        .live(),
        key!(
            "encoder.keyframe_interval",
            encoder.keyframe_interval,
            Time(Unit::Seconds, 0.5, 120.0),
            "Longest time between key frames when nobody asks for one. Viewers who join do not \
             wait for it. Key frames are large: the shorter the time, the worse the picture at the \
             same bit rate. Recorders may want 2."
        ),
    ]
}

fn stream() -> Vec<Key> {
    vec![
        key!(
            "stream.live_broadcast",
            stream.live_broadcast,
            Boolean,
            "Many viewers of each camera at once. Off: only one of each, and the next one is told \
             so."
        ),
        key!(
            "stream.infinite_frames",
            stream.infinite_frames,
            Boolean,
            "When the source ends or fails, viewers see a \"no signal\" picture until it is back. \
             Off: who comes meanwhile is refused, and a source that has ended ends the stream."
        ),
        key!(
            "stream.max_viewers",
            stream.max_viewers,
            Integer(1, 10_000),
            "The most viewers of each camera at once; further ones are asked to try again later. \
             Each takes `encoder.bitrate` of the uplink, and work to encrypt it."
        ),
        key!(
            "stream.keep_warm",
            stream.keep_warm,
            Boolean,
            "Keeps camera and encoder running while nobody watches. The first viewer then sees a \
             picture about a second sooner; the device stays as warm as if somebody were \
             watching."
        ),
        key!(
            "stream.mjpeg_fps",
            stream.mjpeg_fps,
            Number(0.1, 30.0),
            "The highest frame rate of `/stream.mjpg`, which is for programs and browsers that \
             cannot show video, and of snapshots. Each picture is made once for everyone who \
             watches this way, and only while somebody does. It costs far more than video: a \
             picture of 720 lines takes a PC's core 12 ms, and a Pi's several times that, and some \
             60 KB of network traffic for each viewer. These viewers count towards \
             `stream.max_viewers`, too."
        )
        .unit("frames per second"),
    ]
}
