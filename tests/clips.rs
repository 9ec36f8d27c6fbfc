//! Clips as programs and devices write them: what is shown is what ffmpeg shows of them.

mod common;

use std::path::Path;
use std::process::Command;

use common::clip::{
    Folder, SOURCE, as_ffmpeg_shows, assert_alike, find_box, grid, play, plays_as,
    plays_as_in_ffmpeg,
};
use picket::camera::CaptureMode;

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

/// Why a clip cannot be played.
fn refusal(clip: &Path) -> String {
    let refused =
        [CaptureMode::PassThrough, CaptureMode::Decode].map(|mode| play(clip, mode, 1).err());
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
    // The same line spares the work of re-encoding, and what it makes is upright.
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
fn a_clip_spliced_from_several_recordings_plays_to_its_end() {
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
    for mode in [CaptureMode::PassThrough, CaptureMode::Decode] {
        let played = play(&folder.path("all.mp4"), mode, wanted.len() * 2).unwrap();
        assert_eq!(played.passed, mode == CaptureMode::PassThrough);
        for (i, frame) in played.frames.iter().enumerate() {
            assert_alike("all.mp4", i, &grid(frame), &wanted[i % wanted.len()]);
        }
        let last = &played.frames[wanted.len() - 1];
        assert_eq!((last.width(), last.height()), (320, 240));
    }
}
