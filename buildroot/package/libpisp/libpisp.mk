################################################################################
#
# libpisp
#
################################################################################

LIBPISP_VERSION = v1.6.0
LIBPISP_SITE = https://github.com/raspberrypi/libpisp.git
LIBPISP_SITE_METHOD = git
LIBPISP_LICENSE = \
	BSD-2-Clause, \
	CC0-1.0 (build system), \
	GPL-2.0-or-later with Linux-syscall-note (kernel interface), \
	MIT
LIBPISP_LICENSE_FILES = \
	LICENSES/BSD-2-Clause.txt \
	LICENSES/CC0-1.0.txt \
	LICENSES/GPL-2.0-or-later.txt \
	LICENSES/Linux-syscall-note.txt \
	LICENSES/MIT.txt
LIBPISP_INSTALL_STAGING = YES
LIBPISP_DEPENDENCIES = host-pkgconf json-for-modern-cpp
LIBPISP_CONF_OPTS = \
	-Dexamples=false \
	-Dgstreamer=disabled \
	-Dlogging=disabled \
	-Dwerror=false

# A run path into the folder it is built in: meson takes it out of the header
# when it installs the library, and leaves the name among the strings.
define LIBPISP_NO_BUILD_RPATH
	$(SED) '/build_rpath/d' $(@D)/src/meson.build
endef
LIBPISP_POST_PATCH_HOOKS += LIBPISP_NO_BUILD_RPATH

$(eval $(meson-package))
