//! How clips ask to be presented: which parts of them, upright, in which shape and range of brightness.
//! What is shown is what ffmpeg shows of them.

mod common;

use common::clip::{
    Folder, GRID, SOURCE, as_ffmpeg_shows, assert_alike, find_box, grid, play, plays_as,
    plays_as_in_ffmpeg,
};
use picket::camera::CaptureMode;
use picket::media::Frame;

/// Two seconds of red, then two of green, with one key frame.
fn red_then_green(folder: &Folder) {
    folder.ffmpeg(
        "-f lavfi -i color=red:s=320x240:d=2 -f lavfi -i color=green:s=320x240:d=2 \
         -filter_complex '[0][1]concat' -c:v libx264 -profile:v baseline -g 1000 -sc_threshold 0 \
         a.mp4",
    );
}

#[test]
fn a_trimmed_clip_shows_only_what_is_left() {
    let folder = Folder::new("trimmed");
    red_then_green(&folder);
    folder.ffmpeg("-ss 2 -i a.mp4 -c copy trimmed.mp4");
    for mode in [CaptureMode::PassThrough, CaptureMode::Decode] {
        let played = play(&folder.path("trimmed.mp4"), mode, 130).unwrap();
        assert!(!played.passed, "what is red would be seen");
        for (i, frame) in played.frames.iter().enumerate() {
            // Green in limited BT.601 is 81 at most (red is 82 with much more V).
            let v = frame.plane(2)[40];
            assert!(v < 128, "picture {i} is red: {v}");
        }
        // Two seconds at 25 a second, then the same again without a break.
        let times: Vec<_> = played.frames.iter().map(Frame::time).collect();
        for pair in times.windows(2) {
            assert_eq!(pair[1].since(pair[0]).as_millis(), 40);
        }
    }
}

#[test]
fn every_way_to_trim_shows_what_ffmpeg_shows() {
    let folder = Folder::new("trims");
    for (name, coding) in [
        ("base", "-profile:v baseline -g 15"),
        ("bframes", "-bf 3 -b_strategy 0 -g 15"),
        ("long", "-bf 2 -g 1000"),
    ] {
        folder.ffmpeg(&format!("{SOURCE} -c:v libx264 -pix_fmt yuv420p {coding} {name}.mp4"));
        for (n, (cut, options, ending)) in [
            ("-ss 0.6", "", "mp4"),
            ("-ss 0.61", "", "mp4"),
            ("-ss 0.96", "-movflags faststart", "mov"),
            ("-ss 0.32 -t 0.8", "", "mp4"),
            ("-t 0.5", "", "mp4"),
            ("-ss 0.8", "-video_track_timescale 90000", "mp4"),
            ("-ss 0.8", "-movflags frag_keyframe+delay_moov", "mp4"),
            ("-ss 0.8", "-movflags frag_keyframe+empty_moov+delay_moov+default_base_moof", "mp4"),
        ]
        .into_iter()
        .enumerate()
        {
            let clip = format!("{name}-{n}.{ending}");
            folder.ffmpeg(&format!("{cut} -i {name}.mp4 -c copy {options} {clip}"));
            // ffmpeg does not read the edit lists of fragmented files.
            folder.ffmpeg(&format!("{cut} -i {name}.mp4 -c copy plain.mp4"));
            let passed = plays_as(&folder.path(&clip), &folder.path("plain.mp4"));
            // A cut at a key frame needs no encoder.
            let at_key = cut == "-ss 0.6" || cut == "-t 0.5";
            assert_eq!(passed, name == "base" && at_key, "{clip}: {cut} {options}");
        }
    }
}

/// Replaces the edit list of an MP4 whose index is at its end. Each edit is a duration in
/// milliseconds, a beginning in units of the track's timescale, and a rate.
fn with_edits(bytes: &[u8], edits: &[(u32, i32, f64)]) -> Vec<u8> {
    let mut elst = vec![0; 4];
    elst.extend((edits.len() as u32).to_be_bytes());
    for (duration, from, rate) in edits {
        elst.extend(duration.to_be_bytes());
        elst.extend(from.to_be_bytes());
        elst.extend(((rate * 65536.0) as i32).to_be_bytes());
    }
    let (at, len) = find_box(bytes, b"elst");
    let grown = elst.len() as i64 - len as i64;
    let mut bytes = [&bytes[..at], &elst, &bytes[at + len..]].concat();
    for kind in [b"elst", b"edts", b"trak", b"moov"] {
        let at = find_box(&bytes, kind).0 - 8;
        let size = u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        bytes[at..at + 4].copy_from_slice(&((i64::from(size) + grown) as u32).to_be_bytes());
    }
    bytes
}

#[test]
fn several_edits_are_shown_one_after_the_other() {
    let folder = Folder::new("edits");
    // At 25 a second a picture lasts 512 of 12800 units; a key frame every ten.
    folder.ffmpeg(&format!(
        "{SOURCE} -c:v libx264 -profile:v baseline -pix_fmt yuv420p -g 10 -sc_threshold 0 a.mp4"
    ));
    let whole = std::fs::read(folder.path("a.mp4")).unwrap();
    let all: Vec<_> = as_ffmpeg_shows(&folder.path("a.mp4"));
    let milliseconds = |frames: &[Frame]| -> Vec<u128> {
        frames.windows(2).map(|w| w[1].time().since(w[0].time()).as_millis()).collect()
    };
    // The list, the pictures it shows, their intervals, and whether it needs no encoder.
    type Case<'a> = (&'a [(u32, i32, f64)], &'a [usize], &'a [u128], bool);
    let cases: [Case<'_>; 8] = [
        // Two key frames' groups in the other order.
        (&[(120, 20 * 512, 1.0), (80, 0, 1.0)], &[20, 21, 22, 0, 1, 20], &[40; 5], true),
        // From the middle of a group, and twice the same.
        (&[(80, 5 * 512, 1.0), (80, 5 * 512, 1.0)], &[5, 6, 5, 6, 5], &[40; 4], false),
        // An empty edit at the beginning waits for sound that is not played here.
        (&[(500, -1, 1.0), (80, 10 * 512, 1.0)], &[10, 11, 10, 11], &[40; 3], true),
        // In the middle the picture stays.
        (
            &[(80, 10 * 512, 1.0), (200, -1, 1.0), (40, 20 * 512, 1.0)],
            &[10, 11, 20, 10],
            &[40, 240, 40],
            true,
        ),
        // A picture that stands still; half and double speed.
        (&[(300, 10 * 512, 0.0), (40, 20 * 512, 1.0)], &[10, 20, 10], &[300, 40], true),
        (&[(160, 10 * 512, 0.5)], &[10, 11, 10, 11], &[80; 3], true),
        (&[(40, 10 * 512, 2.0)], &[10, 11, 10, 11], &[20; 3], true),
        // From the middle of a picture on, which is not worth a key frame's being shown.
        (&[(100, 10 * 512 + 256, 1.0)], &[11, 12, 11, 12], &[40, 60, 40], false),
    ];
    for (edits, pictures, intervals, passes) in cases {
        let clip = folder.path("edited.mp4");
        std::fs::write(&clip, with_edits(&whole, edits)).unwrap();
        for mode in [CaptureMode::PassThrough, CaptureMode::Decode] {
            let played = play(&clip, mode, pictures.len()).unwrap();
            let passes = passes && mode == CaptureMode::PassThrough;
            assert_eq!(played.passed, passes, "{edits:?}");
            for (frame, &picture) in played.frames.iter().zip(pictures) {
                assert_alike(&format!("{edits:?}"), picture, &grid(frame), &all[picture]);
            }
            assert_eq!(milliseconds(&played.frames), intervals, "{edits:?}");
        }
    }
    // A list that leaves nothing is none.
    std::fs::write(folder.path("none.mp4"), with_edits(&whole, &[(80, 900_000, 1.0)])).unwrap();
    let played = play(&folder.path("none.mp4"), CaptureMode::PassThrough, 50).unwrap();
    assert_alike("none.mp4", 0, &grid(&played.frames[0]), &all[0]);
    std::fs::write(folder.path("back.mp4"), with_edits(&whole, &[(80, 0, -1.0)])).unwrap();
    let error = play(&folder.path("back.mp4"), CaptureMode::Decode, 1).err().unwrap().to_string();
    assert!(error.contains("backwards") && error.contains("ffmpeg"), "{error}");
}

#[test]
fn a_turned_or_mirrored_clip_is_upright() {
    let folder = Folder::new("turned");
    for (n, filter) in ["", "-vf crop=152:104"].iter().enumerate() {
        folder.ffmpeg(&format!(
            "{SOURCE} {filter} -c:v libx264 -profile:v baseline -pix_fmt yuv420p a{n}.mp4"
        ));
        for degrees in [90, 180, 270] {
            let clip = format!("turned-{n}-{degrees}.mov");
            folder.ffmpeg(&format!("-i a{n}.mp4 -c copy -metadata:s:v:0 rotate={degrees} {clip}"));
            assert!(!plays_as_in_ffmpeg(&folder.path(&clip)), "{clip}");
            let turned = play(&folder.path(&clip), CaptureMode::PassThrough, 1).unwrap().mode;
            let plain = play(&folder.path(&format!("a{n}.mp4")), CaptureMode::PassThrough, 1);
            let plain = plain.unwrap().mode;
            let sides = if degrees == 180 {
                (plain.width, plain.height)
            } else {
                (plain.height, plain.width)
            };
            assert_eq!((turned.width, turned.height), sides);
        }
    }
    // Mirrored, as front cameras write it.
    let mut bytes = std::fs::read(folder.path("a0.mp4")).unwrap();
    let at = find_box(&bytes, b"tkhd").0 + 40;
    bytes[at..at + 4].copy_from_slice(&(-65536_i32).to_be_bytes());
    std::fs::write(folder.path("mirrored.mp4"), &bytes).unwrap();
    let played = play(&folder.path("mirrored.mp4"), CaptureMode::PassThrough, 1).unwrap();
    let mut plain = as_ffmpeg_shows(&folder.path("a0.mp4"))[0];
    plain.chunks_mut(GRID).for_each(<[u8]>::reverse);
    assert_alike("mirrored.mp4", 0, &grid(&played.frames[0]), &plain);
}

#[test]
fn pixels_that_are_not_square_become_so() {
    let folder = Folder::new("aspect");
    for (aspect, width) in [("16/11", 232), ("3/4", 120), ("101/100", 160)] {
        for (n, options) in ["", "-bsf:v h264_metadata=sample_aspect_ratio=1/1"].iter().enumerate()
        {
            let clip = format!("{}-{n}.mp4", aspect.replace('/', "-"));
            folder.ffmpeg(&format!(
                "{SOURCE} -vf setsar={aspect} -c:v libx264 -profile:v baseline -pix_fmt yuv420p \
                 {options} {clip}"
            ));
            let passed = plays_as_in_ffmpeg(&folder.path(&clip));
            let mode = play(&folder.path(&clip), CaptureMode::PassThrough, 1).unwrap().mode;
            assert_eq!((mode.width, mode.height, passed), (width, 120, width == 160), "{clip}");
        }
    }
}

#[test]
fn full_range_becomes_limited_where_it_is_decoded() {
    let folder = Folder::new("range");
    let gray =
        |level: u8| format!("-f lavfi -i color=c=0x{0:02x}{0:02x}{0:02x}:s=64x48:d=1", level);
    for level in [0, 56, 205, 255] {
        folder.ffmpeg(&format!(
            "{} -vf scale=out_range=pc,format=yuvj420p -color_range pc -c:v libx264 \
             -profile:v baseline full.mp4",
            gray(level)
        ));
        // The container says it, and the video says nothing.
        folder.ffmpeg(&format!(
            "-f lavfi -i color=s=64x48:d=1 -vf format=yuv420p,geq=lum={level}:cb=128:cr=128 \
             -c:v libx264 -profile:v baseline -qp 1 silent.mp4"
        ));
        folder.ffmpeg(
            "-i silent.mp4 -c copy -color_range pc -colorspace bt709 -color_primaries bt709 \
             -color_trc bt709 -movflags write_colr container.mp4",
        );
        let wanted = 16.0 + f64::from(level) * 219.0 / 255.0;
        for (clip, passes) in [("full.mp4", true), ("container.mp4", false)] {
            let frame = |mode| play(&folder.path(clip), mode, 1).unwrap();
            for mode in [CaptureMode::PassThrough, CaptureMode::Decode] {
                let played = frame(mode);
                let luma = f64::from(played.frames[0].plane(0)[100]);
                assert!((luma - wanted).abs() < 1.5, "{clip}: {level} became {luma}");
            }
            assert_eq!(frame(CaptureMode::PassThrough).passed, passes, "{clip}");
        }
        let colr = std::fs::read(folder.path("container.mp4")).unwrap();
        assert_eq!(colr[find_box(&colr, b"colr").0 + 10], 0x80, "full range");
    }
}

#[test]
fn a_picture_that_stays_for_long_is_shown_meanwhile() {
    let folder = Folder::new("still");
    // A screen that nobody touches: a gap of five seconds, then one of three minutes.
    folder.ffmpeg(
        "-f lavfi -i testsrc=s=160x120:r=25:d=0.4 \
         -vf 'setpts=PTS+if(gte(N\\,5)\\,5/TB\\,0)+if(gte(N\\,8)\\,180/TB\\,0)' -vsync vfr \
         -c:v libx264 -profile:v baseline -pix_fmt yuv420p still.mp4",
    );
    let played = play(&folder.path("still.mp4"), CaptureMode::PassThrough, 90).unwrap();
    assert!(!played.passed);
    let times: Vec<_> = played.frames.iter().map(|f| f.time().as_nanos() / 1_000_000).collect();
    let intervals: Vec<u64> = times.windows(2).map(|w| w[1] - w[0]).collect();
    assert!(intervals.iter().all(|i| *i <= 1000), "{intervals:?}");
    assert_eq!(intervals[..12], [40, 40, 40, 40, 1000, 1000, 1000, 1000, 1000, 40, 40, 40]);
    // The longer one is cut to a minute.
    let longer = intervals[12..].iter().take_while(|i| **i == 1000).count();
    assert!((59..=60).contains(&longer), "{longer}: {intervals:?}");
}
