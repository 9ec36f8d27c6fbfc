//! Clips as programs and devices write them: what is shown is what ffmpeg shows of them.

mod common;

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use common::clip::{Folder, GRID, as_ffmpeg_shows, times_in_ffmpeg};
use picket::camera::file::{Clock, FileCamera, FileMode};
use picket::camera::{Camera, CameraError, Capture, Constraints, Mode};
use picket::decoder::Decoder;
use picket::media::{Frame, MediaTime};

/// A clock that moves only when somebody waits for it.
#[derive(Clone, Default)]
struct FakeClock(Arc<AtomicU64>);

impl Clock for FakeClock {
    fn now(&self) -> MediaTime {
        MediaTime::from_nanos(self.0.load(Ordering::Relaxed))
    }
    fn sleep_until(&self, moment: MediaTime) {
        self.0.fetch_max(moment.as_nanos(), Ordering::Relaxed);
    }
}

/// A clip being played.
struct Played {
    mode: Mode,
    /// Whether it was sent as it is.
    passed: bool,
    frames: Vec<Frame>,
}

/// Plays so many pictures.
fn play(clip: &Path, mode: FileMode, count: usize) -> Result<Played, CameraError> {
    let mut camera = FileCamera::with_clock(clip, mode, Box::new(FakeClock::default()));
    let mode = camera.open(&Constraints::default())?;
    let (mut passed, mut frames) = (false, Vec::new());
    let mut decoder = Decoder::new().expect("a decoder");
    let mut units = 0;
    while frames.len() < count && units < count {
        match camera.capture()? {
            Capture::Frame(frame) => frames.push(frame),
            Capture::AccessUnit(unit) => {
                (passed, units) = (true, units + 1);
                frames.extend(decoder.decode(&unit).expect("it decodes"));
            }
            Capture::End => panic!("a clip has no end"),
        }
    }
    frames.extend(decoder.flush());
    frames.truncate(count);
    Ok(Played { mode, passed, frames })
}

/// The brightness of each square of a grid.
fn grid(frame: &Frame) -> [u8; GRID * GRID] {
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    std::array::from_fn(|square| {
        let (column, row) = (square % GRID, square / GRID);
        let rows = row * height / GRID..(row + 1) * height / GRID;
        let columns = column * width / GRID..(column + 1) * width / GRID;
        let (mut sum, mut count) = (0, 0);
        for y in rows {
            let line = &frame.plane(0)[y * frame.stride(0)..];
            sum += line[columns.clone()].iter().map(|&b| u64::from(b)).sum::<u64>();
            count += columns.len() as u64;
        }
        (sum / count.max(1)) as u8
    })
}

fn assert_alike(name: &str, place: usize, ours: &[u8], theirs: &[u8]) {
    let worst = ours.iter().zip(theirs).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(worst < Some(10), "{name}: picture {place}\n{ours:?}\n{theirs:?}");
}

/// Plays a clip in both ways and compares it with what ffmpeg shows, over the place where it begins
/// anew. Answers whether it is sent as it is.
fn plays_as_in_ffmpeg(clip: &Path) -> bool {
    plays_as(clip, clip)
}

/// Plays a clip in both ways and compares it with what ffmpeg shows of another.
fn plays_as(clip: &Path, other: &Path) -> bool {
    let name = clip.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (wanted, times) = (as_ffmpeg_shows(other), times_in_ffmpeg(other));
    assert!(!wanted.is_empty(), "{name}: ffmpeg shows nothing");
    assert_eq!(wanted.len(), times.len(), "{name}: ffmpeg contradicts itself");
    let mut passed = false;
    for mode in [FileMode::PassThrough, FileMode::Decode] {
        let played = play(clip, mode, wanted.len() + 3).unwrap_or_else(|e| panic!("{e}"));
        passed |= played.passed;
        let fits = (played.mode.width, played.mode.height);
        assert_eq!((played.frames[0].width(), played.frames[0].height()), fits, "{name}");
        assert_eq!(played.frames.len(), wanted.len() + 3, "{name}");
        for (i, frame) in played.frames.iter().enumerate() {
            assert_alike(&name, i, &grid(frame), &wanted[i % wanted.len()]);
        }
        let first = played.frames[0].time();
        for (i, (frame, time)) in played.frames.iter().zip(&times).enumerate() {
            let ours = frame.time().since(first).as_secs_f64() * 1e3;
            assert!((ours - time).abs() < 2.0, "{name}: picture {i} at {ours}, not {time} ms");
        }
    }
    passed
}

/// A source of pictures of which each is another.
const SOURCE: &str = "-f lavfi -i testsrc=s=160x120:r=25:d=1.6";

#[test]
fn whatever_ffmpeg_muxes_plays() {
    let folder = Folder::new("muxed");
    let mut failures = Vec::new();
    for (coding, ending) in [
        ("-profile:v baseline -g 10", "base"),
        ("-bf 0 -g 10", "high"),
        ("-bf 3 -b_strategy 0 -g 20", "bframes"),
        ("-profile:v main -bf 2 -g 10 -x264-params open-gop=1", "open"),
    ] {
        folder.ffmpeg(&format!(
            "{SOURCE} -c:v libx264 -pix_fmt yuv420p -crf 20 -preset veryfast {coding} {ending}.mkv"
        ));
        for (n, (options, container)) in [
            ("", "mp4"),
            ("", "mov"),
            ("-f ipod", "m4v"),
            ("", "3gp"),
            ("", "ismv"),
            ("-movflags faststart", "mp4"),
            ("-movflags frag_keyframe", "mp4"),
            ("-movflags frag_keyframe+empty_moov", "mp4"),
            ("-movflags frag_keyframe+empty_moov+default_base_moof", "mp4"),
            ("-movflags frag_every_frame+empty_moov+default_base_moof+separate_moof", "mp4"),
            ("-movflags frag_keyframe+delay_moov", "mp4"),
            ("-movflags dash", "mp4"),
            ("-movflags cmaf", "mp4"),
            ("-movflags cmaf+negative_cts_offsets", "mp4"),
            ("-movflags negative_cts_offsets", "mp4"),
            ("-movflags isml+frag_keyframe", "ismv"),
            ("-use_editlist 0", "mp4"),
            ("-use_editlist 1", "mov"),
            ("-video_track_timescale 90000", "mp4"),
            ("-video_track_timescale 1000 -movie_timescale 90000", "mp4"),
            ("-movie_timescale 25", "mov"),
            ("-tag:v avc3 -bsf:v h264_mp4toannexb", "mp4"),
            ("-write_tmcd 1 -timecode 01:02:03:04", "mov"),
            ("-movflags write_colr", "mp4"),
            ("-output_ts_offset 3", "mp4"),
            ("-output_ts_offset 3 -movflags frag_keyframe+empty_moov", "mp4"),
            ("-frag_duration 300000 -movflags empty_moov", "mp4"),
        ]
        .into_iter()
        .enumerate()
        {
            // With B-frames every one is tried, of the others a few each.
            if ending != "bframes" && (n + ending.len()) % 3 != 0 {
                continue;
            }
            let clip = format!("{ending}-{n}.{container}");
            folder.ffmpeg(&format!("-i {ending}.mkv -c copy {options} {clip}"));
            let played = std::panic::catch_unwind(|| plays_as_in_ffmpeg(&folder.path(&clip)));
            match played {
                Ok(passed) if passed == matches!(ending, "base" | "high") => {}
                Ok(passed) => failures.push(format!("{clip}: {options}: passed is {passed}")),
                Err(_) => failures.push(format!("{clip}: {options}")),
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Two seconds of red, then two of green, with one key picture.
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
    for mode in [FileMode::PassThrough, FileMode::Decode] {
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
            // A cut at a key picture needs no encoder.
            let at_key = cut == "-ss 0.6" || cut == "-t 0.5";
            assert_eq!(passed, name == "base" && at_key, "{clip}: {cut} {options}");
        }
    }
}

/// Why a clip cannot be played.
fn refusal(clip: &Path) -> String {
    let refused = [FileMode::PassThrough, FileMode::Decode].map(|mode| play(clip, mode, 1).err());
    let [Some(error), Some(same)] = refused.map(|e| e.map(|e| e.to_string())) else {
        panic!("{} plays", clip.display());
    };
    assert_eq!(error, same);
    error
}

#[test]
fn what_is_refused_plays_once_its_own_advice_was_followed() {
    let folder = Folder::new("advice");
    let odd = "-f lavfi -i testsrc=s=161x121:r=25:d=2";
    for (n, (source, coding, ending, words)) in [
        (SOURCE, "-c:v libx265 -x265-params log-level=none", "mp4", "H.265"),
        (SOURCE, "-c:v libx265 -pix_fmt yuv420p10le -x265-params log-level=none", "mov", "H.265"),
        (SOURCE, "-c:v mpeg4", "mp4", "MPEG-4 part 2"),
        (odd, "-c:v mjpeg -pix_fmt yuvj444p", "mov", "Motion JPEG"),
        (SOURCE, "-c:v prores", "mov", "ProRes"),
        (SOURCE, "-c:v libvpx-vp9 -deadline realtime -cpu-used 8", "mp4", "VP9"),
        (SOURCE, "-c:v libvpx -deadline realtime -cpu-used 8", "webm", "WebM"),
        (SOURCE, "-c:v libx264 -bf 2", "mkv", "Matroska"),
        (SOURCE, "-c:v libx264", "ts", "transport stream"),
        (SOURCE, "-c:v libx264 -mpegts_m2ts_mode 1 -f mpegts", "m2ts", "transport stream"),
        (SOURCE, "-c:v mpeg2video", "mpg", "program stream"),
        (SOURCE, "-c:v mjpeg", "avi", "AVI"),
        (SOURCE, "-c:v flv1", "flv", "Flash"),
        (odd, "", "gif", "GIF"),
        (SOURCE, "-c:v libx265 -x265-params log-level=none", "hevc", "H.265"),
        (odd, "-c:v libx264 -pix_fmt yuv444p", "mp4", "4:2:0"),
        (SOURCE, "-c:v libx264 -pix_fmt yuv422p", "mov", "4:2:0"),
        (SOURCE, "-c:v libx264 -pix_fmt yuv420p10le", "mp4", "8 bits"),
        (SOURCE, "-c:v libx264 -pix_fmt yuv420p -flags +ildct+ilme", "mp4", "interlaced"),
        (SOURCE, "-c:v libx264 -vf setsar=4/3 -pix_fmt yuv422p", "mp4", "4:2:0"),
    ]
    .into_iter()
    .enumerate()
    {
        let clip = format!("it's {n}.{ending}");
        folder.ffmpeg(&format!("{source} {coding} \"{clip}\""));
        let error = refusal(&folder.path(&clip));
        assert!(error.contains(words), "{clip}: {error}");
        let (_, command) = error.split_once("to convert it: ").expect("advice");
        let out = folder.sh(command);
        assert!(out.status.success(), "{command}\n{}", String::from_utf8_lossy(&out.stderr));
        let converted = folder.path(&format!("it's {n}-picket.mp4"));
        assert!(
            plays_as_in_ffmpeg(&converted),
            "{clip}: converted, every viewer takes it as it is"
        );
        let coded = Command::new("ffprobe")
            .args(["-v", "error", "-show_entries", "stream=profile", "-of", "csv=p=0"])
            .arg(&converted)
            .output()
            .expect("ffprobe");
        let profile = String::from_utf8_lossy(&coded.stdout).trim().to_owned();
        assert_eq!(profile, "Constrained Baseline", "{clip}");
    }
    // The same line spares the work of encoding afresh, and what it makes is upright.
    folder.ffmpeg(&format!("{SOURCE} -c:v libx264 -pix_fmt yuv420p -bf 3 b.mp4"));
    folder.ffmpeg("-i b.mp4 -c copy -metadata:s:v:0 rotate=90 turned.mov");
    assert!(!plays_as_in_ffmpeg(&folder.path("turned.mov")));
}

#[test]
fn what_no_conversion_helps_says_so_and_names_no_command() {
    let folder = Folder::new("hopeless");
    folder.ffmpeg(&format!(
        "{SOURCE} -c:v libx264 -pix_fmt yuv420p -encryption_scheme cenc-aes-ctr \
         -encryption_key 76a6c65c5ea762046bd749a2e632ccbb \
         -encryption_kid a7e61c373e219033c21091fa607bf3b8 encrypted.mp4"
    ));
    folder.ffmpeg("-f lavfi -i sine=d=1 -c:a aac sound.mp4");
    folder.ffmpeg("-f lavfi -i testsrc=d=1 -frames:v 1 picture.png");
    std::fs::write(folder.path("text.mp4"), "no clip").unwrap();
    for (clip, words) in [
        ("encrypted.mp4", "encrypted (DRM)"),
        ("sound.mp4", "no video in it, only sound"),
        ("picture.png", "a PNG picture"),
        ("text.mp4", "this is text"),
    ] {
        let error = refusal(&folder.path(clip));
        assert!(error.contains(words), "{error}");
        assert!(!error.contains("ffmpeg"), "{error}");
    }
}

#[test]
fn of_several_tracks_the_video_that_can_be_played_is() {
    let folder = Folder::new("tracks");
    folder.ffmpeg(&format!("{SOURCE} -c:v libx264 -profile:v baseline -pix_fmt yuv420p a.mp4"));
    folder.ffmpeg(
        "-f lavfi -i testsrc2=s=320x240:d=2 -c:v libx265 -x265-params log-level=none h.mp4",
    );
    folder.ffmpeg("-f lavfi -i testsrc2=s=320x240:d=2 -c:v libx264 -pix_fmt yuv420p b.mp4");
    folder.ffmpeg("-f lavfi -i testsrc2=s=600x600:d=1 -frames:v 1 cover.png");
    std::fs::write(folder.path("words.srt"), "1\n00:00:00,000 --> 00:00:01,000\nHello\n").unwrap();
    for (n, (inputs, ending)) in [
        // Beside HEVC, sound, a cover, subtitles, a time code.
        ("-i h.mp4 -i a.mp4 -map 0:v -map 1:v -c copy", "mp4"),
        ("-f lavfi -i sine=d=2 -i a.mp4 -map 0:a -map 1:v -c:v copy -c:a aac", "mp4"),
        ("-i cover.png -i a.mp4 -map 0 -map 1 -c copy -disposition:v:0 attached_pic", "mp4"),
        ("-i cover.png -i a.mp4 -map 0 -map 1 -c copy", "mov"),
        ("-i words.srt -i a.mp4 -map 0 -map 1 -c:v copy -c:s mov_text", "mp4"),
        ("-i a.mp4 -c copy -timecode 10:00:00:00", "mov"),
        // The first that is enabled.
        ("-i b.mp4 -i a.mp4 -map 0:v -map 1:v -c copy -disposition:v:0 0 -disposition:v:1 default", "mp4"),
    ]
    .into_iter()
    .enumerate()
    {
        let clip = format!("{n}.{ending}");
        folder.ffmpeg(&format!("{inputs} {clip}"));
        assert!(plays_as(&folder.path(&clip), &folder.path("a.mp4")), "{clip}: {inputs}");
    }
}

/// An MP4 of one track, with the samples of several files, each with its own sample entry.
fn spliced(files: &[Vec<u8>]) -> Vec<u8> {
    let boxed = |kind: &[u8; 4], body: &[u8]| {
        [&(body.len() as u32 + 8).to_be_bytes()[..], kind, body].concat()
    };
    let words = |words: &[u32]| words.iter().flat_map(|w| w.to_be_bytes()).collect::<Vec<u8>>();
    let whole = |file: &[u8], kind: &[u8; 4]| {
        let (at, len) = find_box(file, kind);
        file[at - 8..at + len].to_vec()
    };
    let word = |file: &[u8], at: usize| {
        u32::from_be_bytes(file[at..at + 4].try_into().expect("four bytes"))
    };
    let first = &files[0];
    let ftyp = whole(first, b"ftyp");
    let (mut mdat, mut entries) = (Vec::new(), Vec::new());
    let (mut stsz, mut stsc, mut stco) = (Vec::new(), Vec::new(), Vec::new());
    let mut stss = Vec::new();
    for (n, file) in files.iter().enumerate() {
        let (at, len) = find_box(file, b"stsd");
        entries.extend_from_slice(&file[at + 8..at + len]);
        let (at, len) = find_box(file, b"stss");
        let before = stsz.len() as u32;
        stss.extend((at + 8..at + len).step_by(4).map(|at| before + word(file, at)));
        let (at, len) = find_box(file, b"stsz");
        let sizes: Vec<u32> = (at + 12..at + len).step_by(4).map(|at| word(file, at)).collect();
        let (at, _) = find_box(file, b"stco");
        assert_eq!(word(file, at + 4), 1, "one chunk");
        let begin = word(file, at + 8) as usize;
        stco.push((ftyp.len() + 8 + mdat.len()) as u32);
        stsc.extend([n as u32 + 1, sizes.len() as u32, n as u32 + 1]);
        mdat.extend_from_slice(&file[begin..begin + sizes.iter().sum::<u32>() as usize]);
        stsz.extend(sizes);
    }
    let table = |kind, count: usize, list: &[u32]| {
        boxed(kind, &words(&[&[0, count as u32], list].concat()))
    };
    let stbl = boxed(
        b"stbl",
        &[
            boxed(b"stsd", &[words(&[0, files.len() as u32]), entries].concat()),
            table(b"stts", 1, &[stsz.len() as u32, 512]),
            table(b"stss", stss.len(), &stss),
            table(b"stsc", files.len(), &stsc),
            boxed(b"stsz", &words(&[&[0, 0, stsz.len() as u32], &stsz[..]].concat())),
            table(b"stco", stco.len(), &stco),
        ]
        .concat(),
    );
    let minf = boxed(b"minf", &[whole(first, b"vmhd"), whole(first, b"dinf"), stbl].concat());
    let mdia = [whole(first, b"mdhd"), whole(first, b"hdlr"), minf].concat();
    let trak = [whole(first, b"tkhd"), boxed(b"mdia", &mdia)].concat();
    let moov = boxed(b"moov", &[whole(first, b"mvhd"), boxed(b"trak", &trak)].concat());
    [ftyp, boxed(b"mdat", &mdat), moov].concat()
}

#[test]
fn a_clip_spliced_of_several_recordings_plays_to_its_end() {
    let folder = Folder::new("spliced");
    let part = |name: &str, source: &str, coding: &str| {
        folder
            .ffmpeg(&format!("-f lavfi -i {source} -c:v libx264 -pix_fmt yuv420p {coding} {name}"));
        std::fs::read(folder.path(name)).unwrap()
    };
    let a = part("a.mp4", "testsrc=s=160x120:d=0.4", "-profile:v baseline");
    let b = part("b.mp4", "testsrc2=s=160x120:d=0.4", "-bf 0 -x264-params ref=3:cabac=1");
    let c = part("c.mp4", "testsrc2=s=320x240:d=0.4", "-profile:v main -bf 0");
    let wanted: Vec<_> = ["a.mp4", "b.mp4", "c.mp4"]
        .iter()
        .flat_map(|part| as_ffmpeg_shows(&folder.path(part)))
        .collect();
    std::fs::write(folder.path("all.mp4"), spliced(&[a, b, c])).unwrap();
    for mode in [FileMode::PassThrough, FileMode::Decode] {
        let played = play(&folder.path("all.mp4"), mode, wanted.len() * 2).unwrap();
        assert_eq!(played.passed, mode == FileMode::PassThrough);
        for (i, frame) in played.frames.iter().enumerate() {
            assert_alike("all.mp4", i, &grid(frame), &wanted[i % wanted.len()]);
        }
        let last = &played.frames[wanted.len() - 1];
        assert_eq!((last.width(), last.height()), (320, 240));
    }
}

/// The place of a box's contents, and its length.
fn find_box(bytes: &[u8], kind: &[u8; 4]) -> (usize, usize) {
    let at = bytes.windows(4).position(|w| w == kind).expect("the box is there");
    let size = u32::from_be_bytes(bytes[at - 4..at].try_into().expect("four bytes"));
    (at + 4, size as usize - 8)
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
    // At 25 a second a picture lasts 512 of 12800 units; a key picture every ten.
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
        // Two key pictures' groups in the other order.
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
        // From the middle of a picture on, which is not worth a key picture's being shown.
        (&[(100, 10 * 512 + 256, 1.0)], &[11, 12, 11, 12], &[40, 60, 40], false),
    ];
    for (edits, pictures, intervals, passes) in cases {
        let clip = folder.path("edited.mp4");
        std::fs::write(&clip, with_edits(&whole, edits)).unwrap();
        for mode in [FileMode::PassThrough, FileMode::Decode] {
            let played = play(&clip, mode, pictures.len()).unwrap();
            let passes = passes && mode == FileMode::PassThrough;
            assert_eq!(played.passed, passes, "{edits:?}");
            for (frame, &picture) in played.frames.iter().zip(pictures) {
                assert_alike(&format!("{edits:?}"), picture, &grid(frame), &all[picture]);
            }
            assert_eq!(milliseconds(&played.frames), intervals, "{edits:?}");
        }
    }
    // A list that leaves nothing is none.
    std::fs::write(folder.path("none.mp4"), with_edits(&whole, &[(80, 900_000, 1.0)])).unwrap();
    let played = play(&folder.path("none.mp4"), FileMode::PassThrough, 50).unwrap();
    assert_alike("none.mp4", 0, &grid(&played.frames[0]), &all[0]);
    std::fs::write(folder.path("back.mp4"), with_edits(&whole, &[(80, 0, -1.0)])).unwrap();
    let error = play(&folder.path("back.mp4"), FileMode::Decode, 1).err().unwrap().to_string();
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
            let turned = play(&folder.path(&clip), FileMode::PassThrough, 1).unwrap().mode;
            let plain = play(&folder.path(&format!("a{n}.mp4")), FileMode::PassThrough, 1);
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
    let played = play(&folder.path("mirrored.mp4"), FileMode::PassThrough, 1).unwrap();
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
            let mode = play(&folder.path(&clip), FileMode::PassThrough, 1).unwrap().mode;
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
            for mode in [FileMode::PassThrough, FileMode::Decode] {
                let played = frame(mode);
                let luma = f64::from(played.frames[0].plane(0)[100]);
                assert!((luma - wanted).abs() < 1.5, "{clip}: {level} became {luma}");
            }
            assert_eq!(frame(FileMode::PassThrough).passed, passes, "{clip}");
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
    let played = play(&folder.path("still.mp4"), FileMode::PassThrough, 90).unwrap();
    assert!(!played.passed);
    let times: Vec<_> = played.frames.iter().map(|f| f.time().as_nanos() / 1_000_000).collect();
    let intervals: Vec<u64> = times.windows(2).map(|w| w[1] - w[0]).collect();
    assert!(intervals.iter().all(|i| *i <= 1000), "{intervals:?}");
    assert_eq!(intervals[..12], [40, 40, 40, 40, 1000, 1000, 1000, 1000, 1000, 40, 40, 40]);
    // The longer one is cut to a minute.
    let longer = intervals[12..].iter().take_while(|i| **i == 1000).count();
    assert!((59..=60).contains(&longer), "{longer}: {intervals:?}");
}
