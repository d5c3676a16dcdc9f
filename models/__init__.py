"""Networks, and how they are trained: the SCLC student, its teacher, distillation, the main job."""
