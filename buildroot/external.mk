include $(sort $(wildcard $(BR2_EXTERNAL_PICKET_PATH)/package/*/*.mk))
