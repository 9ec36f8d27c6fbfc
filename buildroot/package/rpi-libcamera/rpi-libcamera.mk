################################################################################
#
# rpi-libcamera
#
################################################################################

# Its interface is that of libcamera 0.7, for which the crate that Picket uses
# is made.
RPI_LIBCAMERA_VERSION = v0.7.1+rpt20260429
RPI_LIBCAMERA_SITE = https://github.com/raspberrypi/libcamera.git
RPI_LIBCAMERA_SITE_METHOD = git
RPI_LIBCAMERA_LICENSE = \
	BSD-2-Clause (raspberrypi), \
	CC0-1.0 (build system), \
	GPL-2.0 with Linux-syscall-note or BSD-3-Clause (kernel interface), \
	GPL-2.0+ (utils), \
	LGPL-2.1+ (library)
RPI_LIBCAMERA_LICENSE_FILES = \
	LICENSES/BSD-2-Clause.txt \
	LICENSES/BSD-3-Clause.txt \
	LICENSES/CC0-1.0.txt \
	LICENSES/GPL-2.0-only.txt \
	LICENSES/GPL-2.0-or-later.txt \
	LICENSES/LGPL-2.1-or-later.txt \
	LICENSES/Linux-syscall-note.txt
RPI_LIBCAMERA_INSTALL_STAGING = YES
RPI_LIBCAMERA_DEPENDENCIES = \
	host-pkgconf \
	host-python-jinja2 \
	host-python-ply \
	host-python-pyyaml \
	libyaml

RPI_LIBCAMERA_PIPELINES-$(BR2_PACKAGE_RPI_LIBCAMERA_PIPELINE_VC4) += rpi/vc4
RPI_LIBCAMERA_PIPELINES-$(BR2_PACKAGE_RPI_LIBCAMERA_PIPELINE_PISP) += rpi/pisp
RPI_LIBCAMERA_PIPELINES-$(BR2_PACKAGE_RPI_LIBCAMERA_PIPELINE_VIMC) += vimc

ifeq ($(BR2_PACKAGE_RPI_LIBCAMERA_PIPELINE_PISP),y)
RPI_LIBCAMERA_DEPENDENCIES += libpisp
endif

# libudev would make libcamera list only those devices of which udev has left a
# note, and there is no udev here. Without it, libcamera reads /sys/bus/media,
# where every device is.
#
# The modules that process pictures are trusted without a signature: see the
# patch.
RPI_LIBCAMERA_CONF_OPTS = \
	-Dauto_features=disabled \
	-Dandroid=disabled \
	-Dcam=disabled \
	-Ddocumentation=disabled \
	-Dgstreamer=disabled \
	-Dipa-signature=disabled \
	-Dipas=$(subst $(space),$(comma),$(RPI_LIBCAMERA_PIPELINES-y)) \
	-Dpipelines=$(subst $(space),$(comma),$(RPI_LIBCAMERA_PIPELINES-y)) \
	-Dpycamera=disabled \
	-Dqcam=disabled \
	-Dtest=false \
	-Dudev=disabled \
	-Dv4l2=disabled \
	-Dwerror=false

$(eval $(meson-package))
