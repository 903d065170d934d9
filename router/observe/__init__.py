"""Eyes: answer what is happening and why, from the same records and the same judgements as those who act. Changes nothing."""
